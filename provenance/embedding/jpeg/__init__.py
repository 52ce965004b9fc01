"""JPEG in the coefficient domain: what a mark does not touch stays the source's, down to the bits of its scans.

`structure` reads segments; `huffman` knows tables; `planes` says where blocks stand; `entropy` reads and writes scans;
`decoding` shows pixels; `source` puts it together. What runs over bits and pixels is compiled, in `loops`: importing it
costs a second, so pages import `source` only where they open a file.
"""
