from tests.permissions.access import Access

ACCESS = {"status": Access(frozenset({"administrator", "outsider"}))}
