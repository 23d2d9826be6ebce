"""CloudFormation's intrinsic functions. Pure.

Theory of operation. A template is resolved twice: before the SAM transform with the parameters
alone, when whatever refers to a resource stays as it stands, and after it with the resources too.
So the transform meets plain values, and the references that it makes itself are resolved as any
other. What a value refers to and is not known yet is *pending*: a function of something pending
stays, with as much of its arguments resolved as could be.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

from microfaas import strict
from microfaas.errors import Problem
from microfaas.templates.document import Path

# What is no value at all: the key or item that has it is left out.
NOTHING = object()
# What is not known yet.
PENDING = object()

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_SECRET = re.compile(r"\{\{resolve:[a-z-]+:")
_REFUSED = {
    "Fn::ImportValue": "takes what another stack exports, and there is none; make it a parameter",
    "Fn::Transform": "is a macro, and there are none; write out what it would make",
    "Fn::ForEach": "is of AWS::LanguageExtensions; write out what it repeats",
    "Fn::GetAZs": "needs availability zones, and there are none",
    "Fn::Cidr": "needs networks, and there are none",
}

Place = Callable[[Path], str]
Ref = Callable[[str], object]
Attribute = Callable[[str, str], object]


class Resolver:
    """Resolves values. `ref` and `attribute` give PENDING for what is not known (yet).

    Faults go to `problems`, and leave an empty text in place of the value.
    """

    def __init__(
        self,
        data: Mapping[str, Any],
        ref: Ref,
        attribute: Attribute,
        place: Place,
        problems: list[Problem],
        *,
        final: bool,
    ) -> None:
        self._maps = data.get("Mappings") or {}
        self._conditions = data.get("Conditions") or {}
        self._ref = ref
        self._attribute = attribute
        self._place = place
        self._problems = problems
        self._final = final
        self._deciding: list[str] = []
        self._functions: Mapping[str, Callable[[Any, Path], object]] = {
            "Ref": self._reference,
            "Fn::Base64": self._base64,
            "Fn::FindInMap": self._find_in_map,
            "Fn::GetAtt": self._get_attribute,
            "Fn::If": self._if,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::Sub": self._substitute,
        }

    def resolve(self, value: Any, path: Path) -> Any:
        """The value with its functions done; NOTHING for `AWS::NoValue`."""
        if isinstance(value, str):
            if _SECRET.search(value):
                return self._fault(path, "{{resolve:…}} needs AWS's stores; make it a parameter")
            return value
        if isinstance(value, list):
            items = [self.resolve(item, (*path, at)) for at, item in enumerate(value)]
            return [item for item in items if item is not NOTHING]
        if not isinstance(value, dict):
            return value
        if (name := _function_of(value)) is not None:
            if name in self._functions:
                return self._functions[name](value[name], path)
            refused = (why for known, why in _REFUSED.items() if name.startswith(known))
            return self._fault(path, f"{name} {next(refused, 'is not a function')}")
        made = {key: self.resolve(inner, (*path, key)) for key, inner in value.items()}
        return {key: inner for key, inner in made.items() if inner is not NOTHING}

    def condition(self, name: str, path: Path) -> bool:
        """Whether a condition of the template holds."""
        if name not in self._conditions:
            self._fault(path, f"there is no condition {name}")
            return False
        if name in self._deciding:
            self._fault(("Conditions", name), "depends on itself")
            return False
        self._deciding.append(name)
        try:
            return self._truth(self._conditions[name], ("Conditions", name))
        finally:
            self._deciding.pop()

    def _truth(self, value: Any, path: Path) -> bool:
        if isinstance(value, dict) and len(value) == 1:
            [(name, argument)] = value.items()
            inner = (*path, name)
            if name == "Condition":
                return self.condition(str(argument), path)
            if name in ("Fn::And", "Fn::Or") and isinstance(argument, list):
                truths = [self._truth(each, inner) for each in argument]
                return all(truths) if name == "Fn::And" else any(truths)
            if name == "Fn::Not" and isinstance(argument, list) and len(argument) == 1:
                return not self._truth(argument[0], inner)
            if name == "Fn::Equals" and isinstance(argument, list) and len(argument) == 2:
                one, other = (_plain(self.resolve(each, inner)) for each in argument)
                return bool(one == other)
        self._fault(path, "a condition is Fn::Equals, Fn::And, Fn::Or, Fn::Not or Condition")
        return False

    def _reference(self, name: Any, path: Path) -> object:
        found = self._ref(str(name))
        return self._known(found, {"Ref": name}, path, f"there is no {name} to refer to")

    def _get_attribute(self, argument: Any, path: Path) -> object:
        parts = argument.split(".", 1) if isinstance(argument, str) else argument
        parts = self.resolve(parts, path)
        if not isinstance(parts, list) or len(parts) != 2:
            return self._fault(path, "Fn::GetAtt needs a resource and an attribute")
        name, attribute = map(str, parts)
        what = f"{name} is not here, or has no {attribute} that is known before it exists"
        found = self._attribute(name, attribute)
        return self._known(found, {"Fn::GetAtt": parts}, path, what)

    def _known(self, found: object, pending: object, path: Path, what: str) -> object:
        if found is not PENDING:
            return found
        return self._fault(path, what) if self._final else pending

    def _if(self, argument: Any, path: Path) -> object:
        if not isinstance(argument, list) or len(argument) != 3:
            return self._fault(path, "Fn::If needs a condition and two values")
        name, one, other = argument
        return self.resolve(one if self.condition(str(name), path) else other, path)

    def _find_in_map(self, argument: Any, path: Path) -> object:
        keys = self.resolve(argument, path)
        found: Any = self._maps
        for key in keys if isinstance(keys, list) else [keys]:
            if not isinstance(found, dict) or str(key) not in found:
                return self._fault(path, f"there is no {'.'.join(map(str, keys))} in Mappings")
            found = found[str(key)]
        return found

    def _join(self, argument: Any, path: Path) -> object:
        made = self.resolve(argument, path)
        if pending(made):
            return {"Fn::Join": made}
        if not (isinstance(made, list) and len(made) == 2 and isinstance(made[1], list)):
            return self._fault(path, "Fn::Join needs a delimiter and a list")
        return str(made[0]).join(self._text(item, path) for item in made[1])

    def _split(self, argument: Any, path: Path) -> object:
        made = self.resolve(argument, path)
        if pending(made):
            return {"Fn::Split": made}
        if not isinstance(made, list) or len(made) != 2 or not made[0]:
            return self._fault(path, "Fn::Split needs a delimiter and a text")
        return self._text(made[1], path).split(str(made[0]))

    def _select(self, argument: Any, path: Path) -> object:
        made = self.resolve(argument, path)
        if pending(made):
            return {"Fn::Select": made}
        if isinstance(made, list) and len(made) == 2 and isinstance(made[1], list):
            number = str(made[0])
            if number.isdecimal() and int(number) < len(made[1]):
                return made[1][int(number)]
        return self._fault(path, "Fn::Select needs a number and a list that is long enough")

    def _base64(self, argument: Any, path: Path) -> object:
        made = self.resolve(argument, path)
        if pending(made):
            return {"Fn::Base64": made}
        return base64.b64encode(self._text(made, path).encode()).decode()

    def _substitute(self, argument: Any, path: Path) -> object:
        text, given = argument, {}
        if isinstance(argument, list) and len(argument) == 2 and isinstance(argument[1], dict):
            text, given = argument[0], self.resolve(argument[1], path)
        if not isinstance(text, str):
            return self._fault(path, "Fn::Sub needs a text")
        made = _VARIABLE.sub(lambda match: self._variable(match[1].strip(), given, path), text)
        left = [name for name in _VARIABLE.findall(made) if not name.startswith("!")]
        if left:
            return {"Fn::Sub": [made, given] if given else made}
        return made.replace("${!", "${")

    def _variable(self, name: str, given: Mapping[str, Any], path: Path) -> str:
        """What stands for `${name}`; itself while that is not known."""
        if name.startswith("!"):
            return f"${{{name}}}"
        if name in given:
            found = given[name]
        elif "." in name:
            found = self._get_attribute(name, path)
        else:
            found = self._reference(name, path)
        if pending(found):
            return f"${{{name}}}"
        return self._text(found, path).replace("${", "${!")

    def _text(self, value: object, path: Path) -> str:
        if isinstance(value, list | dict) or value is NOTHING:
            self._fault(path, f"needs a text, not {strict.shown(value)}")
            return ""
        return str(_plain(value))

    def _fault(self, path: Path, what: str) -> str:
        self._problems.append(Problem(self._place(path), what))
        return ""


def pending(value: object) -> bool:
    """Whether a function is still to be done somewhere in it."""
    if isinstance(value, list):
        return any(map(pending, value))
    if isinstance(value, dict):
        return _function_of(value) is not None or any(map(pending, value.values()))
    return False


def _function_of(value: Mapping[str, Any]) -> str | None:
    if len(value) != 1:
        return None
    [name] = value
    return name if name == "Ref" or name.startswith("Fn::") else None


def _plain(value: Any) -> Any:
    """As CloudFormation sees it, where a number or a truth is a text."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value
