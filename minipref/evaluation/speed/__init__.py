"""How fast the fused losses are, beside other people's, on the card that is here.

cases      what is measured: shapes, the least bytes and operations, what we want to reach
inputs     tensors of a case, several sets of them
stages     what is timed of a computation: forward, backward, or both
ours       how minipref computes a case
peers      how other libraries do, where they are installed; who takes part in which case
oracle     what is right, in float64, on some of the rows
clock      seconds of one run, on a GPU or a CPU, and works that take turns
ceilings   what the card can do at best: copy, read, multiply
machine    which card, which driver, which versions
measure    one case: who is right, and who takes how long
benchmark  all of them on one card
report     the numbers as plain values, and what they say about the bars
tables     the same for a terminal; `course.pictures.roofline` draws them
"""
