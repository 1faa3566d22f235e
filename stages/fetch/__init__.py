"""How `download` gets a data set: what is canonical, where it is to be had, and how it is put in place whole."""
