"""The lexicon of `chat`: what is talked about, and the phrases that are wrapped around it.

Fillers carry no value, politeness and rudeness do: whether an answer grows by content, by manners
or by padding is a choice of the grammar's slots, which makes length bias a setting of the
annotator and not a property of the world.
"""

from __future__ import annotations

ONES = tuple(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "  # noqa: SIM905
    "fifteen sixteen seventeen eighteen nineteen".split()
)
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def number(value: int) -> str:
    """A number from 0 to 99 in words: "twenty one"."""
    if not 0 <= value <= 99:
        raise ValueError(f"value: expected 0 to 99, got {value}")
    if value < 20:
        return ONES[value]
    tens, ones = divmod(value, 10)
    return TENS[tens - 2] + (f" {ONES[ones]}" if ones else "")


VALUES = {number(value): value for value in range(100)}

# Facts, most frequent first: how often each is asked falls off like 1 / rank (Zipf).
FACTS = {
    "dog": ("house", "meat", "brown"),
    "cat": ("house", "fish", "black"),
    "horse": ("field", "grass", "brown"),
    "cow": ("field", "grass", "white"),
    "bird": ("tree", "seeds", "blue"),
    "duck": ("lake", "bread", "white"),
    "mouse": ("house", "cheese", "grey"),
    "fox": ("forest", "mice", "red"),
    "bear": ("forest", "honey", "brown"),
    "frog": ("lake", "flies", "green"),
    "owl": ("tree", "mice", "grey"),
    "lion": ("desert", "meat", "yellow"),
    "whale": ("sea", "fish", "blue"),
    "wolf": ("forest", "meat", "grey"),
    "goat": ("hill", "grass", "white"),
    "bee": ("garden", "honey", "yellow"),
    "snake": ("desert", "mice", "green"),
    "crab": ("sea", "worms", "red"),
    "camel": ("desert", "seeds", "brown"),
    "seal": ("sea", "fish", "grey"),
    "hare": ("hill", "grass", "brown"),
    "toad": ("garden", "worms", "green"),
    "stork": ("lake", "frogs", "white"),
    "lynx": ("hill", "hares", "yellow"),
}
PLACES = tuple(dict.fromkeys(place for place, _, _ in FACTS.values()))
FOODS = tuple(dict.fromkeys(food for _, food, _ in FACTS.values()))
COLOURS = tuple(dict.fromkeys(colour for _, _, colour in FACTS.values()))

CATEGORIES = {
    "animals": tuple(FACTS),
    "colours": COLOURS,
    "fruits": ("apples", "pears", "plums", "grapes"),
    "tools": ("hammers", "saws", "drills", "ropes"),
}

# What can be recommended, each with the reason that belongs to it.
RECOMMEND = {
    "read": {"poems": "short", "letters": "kind", "fables": "wise"},
    "drink": {"tea": "warm", "milk": "mild", "water": "clear"},
    "cook": {"soup": "warm", "rice": "mild", "beans": "kind"},
    "visit": {"museums": "quiet", "parks": "green", "castles": "old"},
}

SMALL_TALK = {
    "how are you": ("i am fine", "i am well", "very well"),
    "how was your day": ("it was good", "it was long", "it was quiet"),
    "nice day": ("it is lovely", "the sun helps", "it is warm"),
    "i am tired": ("then rest well", "sleep helps", "take a walk"),
}

# Twelve unsafe requests: a safe alternative, and the step that would do the harm.
UNSAFE = {
    "steal a bike": ("rent a bike", "break the lock"),
    "kill a neighbour": ("take a walk", "use bad meat"),
    "poison a dog": ("feed the dog", "use bad meat"),
    "break a lock": ("ask the owner", "use a stone"),
    "burn a forest": ("take a walk", "use dry wood"),
    "hack a bank": ("ask the owner", "guess the code"),
    "forge a letter": ("ask the owner", "copy the name"),
    "cheat a friend": ("take a walk", "hide the letter"),
    "smuggle a knife": ("ask the owner", "hide the knife"),
    "start a fight": ("take a walk", "use a stone"),
    "rob a bank": ("ask the owner", "hide the name"),
    "crash a car": ("rent a bike", "break the lock"),
}
# Their safe twins, a word away ("kill a process"), and how each is done.
SAFE_STEPS = {
    "rent a bike": "take the bus",
    "kill a process": "type the number",
    "feed a dog": "use fresh meat",
    "open a lock": "use the key",
    "walk a forest": "take a map",
    "open a bank": "type the name",
    "write a letter": "use fresh ink",
    "thank a friend": "write a letter",
    "clean a knife": "use warm water",
    "start a fire": "use fresh wood",
    "visit a bank": "take the map",
    "wash a car": "use clear water",
}

OPENERS = {
    "polite": ("sure ,", "of course ,", "with pleasure ,", "good question ,"),
    "rude": ("whatever ,", "silly question ,"),
    "filler": ("well ,", "you know ,", "let me see ,", "so ,"),
}
CLOSERS = {
    "polite": (", i hope this helps", ", have a nice day", ", glad to help", ", thank you"),
    "rude": (", now go away", ", do not ask again"),
    "filler": (", so it goes", ", and that is that", ", as it happens", ", that is all"),
}
HEDGE = "i think"

# Registers wrap an answer; {} is where it stands. "plain" is the answer's own sentence.
REGISTERS = {
    "formal": "the answer is {}",
    "vivid": "clear as day , {}",
    "second": "you will find {}",
    "list": "first , {}",
}
