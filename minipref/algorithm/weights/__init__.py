"""Methods that change a policy by arithmetic on its weights."""
