"""Neural topic model: a variational auto-encoder that finds the topics of documents and the words of each topic."""
