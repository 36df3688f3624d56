"""The verbs: each looks at the pair and returns an operation that is ready to run. ManagedPair has them as methods."""
