"""JPEG in the coefficient domain: what a mark does not touch stays the source's, down to the bits of its scans.

`structure` reads segments; `huffman` knows tables; `entropy` reads and writes scans through what is compiled in
`reading` and `writing`; `pixels` and `forward` go from coefficients to pixels and back; `source` puts it together.
Nothing here is imported before an image is marked: compiled code costs a second to load.
"""
