"""Tools for those who change Fillwire; never packaged."""
