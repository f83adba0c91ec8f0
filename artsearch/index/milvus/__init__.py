"""An index that is kept in Milvus."""
