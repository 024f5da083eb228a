"""Every test of Fillwire: one folder for each package, then whole flows through real servers."""
