"""The fault run behind `./dev chaos`: a complete Fillwire under load, with injected faults, then compared with the
truth.
"""
