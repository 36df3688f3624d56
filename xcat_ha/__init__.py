"""A highly available management node for xCAT clusters."""
