import base64
import os
import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.keying import (
    EnvironmentKeyProvider,
    FileKeyProvider,
    KeyEncryptionKey,
    KeyEncryptionKeyError,
    SealedRecordError,
    open_sealed,
    rewrap,
    seal,
    sealed_with,
)

AAD = b"organisation/dataset/key"


def provider_of(*keks: KeyEncryptionKey):
    return EnvironmentKeyProvider(",".join(f"{k.id}:{base64.b64encode(k.secret).decode()}" for k in keks))


KEK = KeyEncryptionKey("first", b"1" * 32)
OTHER = KeyEncryptionKey("second", b"2" * 32)


@given(st.binary(max_size=200), st.binary(max_size=50))
def test_what_is_sealed_opens_again(plaintext, associated):
    assert open_sealed(provider_of(KEK), seal(KEK, plaintext, associated), associated) == plaintext


def test_each_record_has_a_data_key_of_its_own():
    one, two = seal(KEK, b"secret", AAD), seal(KEK, b"secret", AAD)
    assert one != two
    assert b"secret" not in one


@given(st.data())
def test_any_altered_byte_is_noticed(data):
    sealed = bytearray(seal(KEK, b"secret", AAD))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises((SealedRecordError, KeyEncryptionKeyError)):
        open_sealed(provider_of(KEK), bytes(sealed), AAD)


@given(st.binary(max_size=150))
def test_garbage_is_refused(garbage):
    with pytest.raises((SealedRecordError, KeyEncryptionKeyError)):
        open_sealed(provider_of(KEK), garbage, AAD)


def test_a_record_cannot_be_moved_to_another_place():
    with pytest.raises(SealedRecordError, match="another record"):
        open_sealed(provider_of(KEK), seal(KEK, b"secret", AAD), b"organisation/dataset/other")


def test_a_wrong_key_encryption_key_is_named():
    wrong = KeyEncryptionKey("first", b"x" * 32)
    with pytest.raises(SealedRecordError, match="key-encryption key 'first'"):
        open_sealed(provider_of(wrong), seal(KEK, b"secret", AAD), AAD)
    with pytest.raises(KeyEncryptionKeyError, match="'first'"):
        open_sealed(provider_of(OTHER), seal(KEK, b"secret", AAD), AAD)


def test_rewrapping_moves_a_record_to_the_current_key():
    sealed = seal(KEK, b"secret", AAD)
    moved = rewrap(provider_of(OTHER, KEK), sealed, AAD)
    assert (sealed_with(sealed), sealed_with(moved)) == ("first", "second")
    assert open_sealed(provider_of(OTHER), moved, AAD) == b"secret"


class TestFileProvider:
    def test_it_creates_a_file_for_its_owner_alone(self, tmp_path):
        provider = FileKeyProvider(tmp_path / "secrets" / "keks.json")
        kek = provider.current()
        assert stat.S_IMODE(provider.path.stat().st_mode) == 0o600
        assert FileKeyProvider(provider.path).current() == kek
        assert os.listdir(provider.path.parent) == ["keks.json"]  # noqa: PTH208

    def test_rotation_keeps_the_old_key(self, tmp_path):
        provider = FileKeyProvider(tmp_path / "keks.json")
        old = provider.current()
        new = provider.rotate()
        assert provider.current() == new != old
        assert provider.get(old.id) == old
        assert stat.S_IMODE(provider.path.stat().st_mode) == 0o600

    def test_many_first_users_agree_on_one_key(self, tmp_path):
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(FileKeyProvider(tmp_path / "keks.json").current()))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8
        assert len({kek.id for kek in found}) == 1

    def test_a_file_that_others_can_read_is_refused(self, tmp_path):
        provider = FileKeyProvider(tmp_path / "keks.json")
        provider.current()
        provider.path.chmod(0o644)
        with pytest.raises(KeyEncryptionKeyError, match="chmod 600"):
            provider.current()

    @pytest.mark.parametrize(
        "content", ["", "[]", "{}", '{"current":"a","keys":{}}', '{"current":"a","keys":{"a":"?"}}']
    )
    def test_a_damaged_file_is_refused(self, tmp_path, content):
        path = tmp_path / "keks.json"
        path.write_text(content)
        path.chmod(0o600)
        with pytest.raises(KeyEncryptionKeyError):
            FileKeyProvider(path).current()


class TestEnvironmentProvider:
    def test_the_first_key_is_current(self, monkeypatch):
        monkeypatch.setenv("TOUCHMARK_KEY_ENCRYPTION_KEYS", f"new:{'A' * 43}=, old:{'B' * 43}=")
        provider = EnvironmentKeyProvider()
        assert provider.current().id == "new"
        assert provider.get("old").id == "old"

    @pytest.mark.parametrize(
        "text", ["", "nokey", "a:", "a:?", f"a:{'A' * 44}", f"a:{'A' * 43}=,a:{'A' * 43}=", "ä:AA=="]
    )
    def test_malformed_values_are_refused(self, text):
        with pytest.raises(KeyEncryptionKeyError):
            EnvironmentKeyProvider(text)

    def test_secrets_are_not_shown(self):
        assert "1111" not in repr(KEK)
