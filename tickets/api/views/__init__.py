"""The tickets API. A method reads the input, makes one domain call, and writes the answer."""
