"""Results, plans and reports that earlier code stored, and every answer about them, byte for byte."""
