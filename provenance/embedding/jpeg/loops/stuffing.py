"""A scan's bytes with and without stuffing and restart markers (ITU-T T.81, B.1.1.5), compiled."""

from provenance.embedding.compiled import compiled

SPARE = 1 << 13  # zero bytes behind what is read; more than a unit of a scan can be long


@compiled
def unstuff(data, start, stop, out, ends, gaps):
    """Copy data[start:stop] without stuffing and restart markers. Returns the number of bytes, -1 for damage.

    gaps: (parts - 1, 2), where the markers between the parts, with fill bytes, start and stop in `data`.
    """
    size, part, at = 0, 0, start
    while at < stop:
        byte = data[at]
        at += 1
        out[size] = byte
        size += 1
        if byte != 255:
            continue
        if at < stop and data[at] == 0:
            at += 1
            continue
        size -= 1
        first = at - 1
        while at < stop and data[at] == 255:
            at += 1
        if at >= stop or part >= len(gaps) or data[at] != 0xD0 + part % 8:
            return -1
        at += 1
        ends[part], gaps[part, 0], gaps[part, 1] = size, first, at
        part += 1
    if part != len(gaps):
        return -1
    ends[part] = size
    out[size : size + SPARE] = 0
    return size


@compiled
def stuff(written, ends, data, gaps, out):
    """Copy the parts with a zero behind every byte 0xFF, and between them what the source has there. Returns the size.

    out: twice as long as `written`, and the gaps.
    """
    size, at = 0, 0
    for part in range(len(ends)):
        while at < ends[part]:
            byte = written[at]
            at += 1
            out[size] = byte
            size += 1
            if byte == 255:
                out[size] = 0
                size += 1
        if part < len(gaps):
            for one in range(gaps[part, 0], gaps[part, 1]):
                out[size] = data[one]
                size += 1
    return size
