"""Grading a class: every answer runs in a process that can do no harm and cannot forge a verdict.

Two processes stand behind each exercise. The `worker` runs the student's cells, confined
(`sandbox`, `linux`). The `judge` runs our own check, from our own notebook, and never a line of
the student's Python: to the check an answer is plain data, or a function whose calls travel to
the worker and back as bytes (`wire`, `remote`). What a submission overwrites, prints or ends is
its own process; the verdict is made elsewhere.

What this cannot prevent: an answer that calls the library's own function (`return dpo(...)`), a
number that was copied from a friend, and, where an exercise asks for a kernel's text, a text that
finds a hole in C++ with the words of our own kernels (`kernel_text`).
"""
