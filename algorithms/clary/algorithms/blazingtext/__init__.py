"""Word vectors by three ways of word2vec, and a linear classifier of text on averaged vectors."""
