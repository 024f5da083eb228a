"""Tools for development of Fillwire; never packaged."""
