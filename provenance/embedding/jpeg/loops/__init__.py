"""Loops over bits, coefficients and pixels, compiled. Arguments have the types that numba finds at the call."""
