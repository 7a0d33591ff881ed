"""Archives: one Parquet file of labels and embeddings per source, made once, asked often."""
