"""Classics of learning by trial, which later chapters lean on; their numbers begin at 201."""
