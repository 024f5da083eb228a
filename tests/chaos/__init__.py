"""The fault run behind `./dev chaos`: a whole Fillwire under load, broken on purpose, then held against the truth."""
