"""Draws of `chat`'s prompts and slots, for its tests."""

import random

from hypothesis import strategies as st

from minipref.data.chat import KINDS, Chat
from minipref.data.chat.grammar import REGISTER_KINDS, STYLES, Slots
from minipref.data.chat.prompts import WISHES, two_turns, with_demonstrations, with_notes, with_wish
from minipref.data.chat.words import CLOSERS, OPENERS

WORLD = Chat()
WORLDS = {
    "A": WORLD,
    "A and B": Chat(languages=2),
    "A and B, apart": Chat(languages=2, code_mix=0.0, anchors=False),
}
worlds = st.sampled_from(sorted(WORLDS)).map(WORLDS.get)
dice = st.integers(0, 2**32 - 1).map(random.Random)


def phrases(groups):
    """A phrase of any kind, or none."""
    return st.sampled_from(["", *(phrase for kind in groups.values() for phrase in kind)])


slots = st.builds(
    Slots,
    opener=phrases(OPENERS),
    closer=phrases(CLOSERS),
    hedge=st.booleans(),
    style=st.sampled_from(sorted(STYLES)),
    register=st.sampled_from(sorted(REGISTER_KINDS)),
    reverse=st.booleans(),
)


@st.composite
def prompts(draw, world=WORLD, kinds=KINDS):
    """A prompt of any kind with anything before it that a corpus can put there."""
    roll = draw(dice)
    before = draw(st.sampled_from(["nothing", "wish", "demonstrations", "notes", "turn"]))
    if kinds == KINDS and before == "notes":
        return with_notes(roll, draw(st.integers(1, 3)))
    if kinds == KINDS and before == "turn":
        return two_turns(roll)
    (prompt,) = world.prompts(1, roll, [draw(st.sampled_from(kinds))])
    if before == "wish":
        return with_wish(prompt, draw(st.sampled_from(sorted(WISHES))))
    if before == "demonstrations" and len(prompt.questions) == 1:
        return with_demonstrations(roll, prompt, draw(st.integers(1, 3)))
    return prompt
