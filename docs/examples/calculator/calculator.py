#!/usr/bin/env python3
"""An environment for `reinforce`: it does the sums, and at the end rewards the right number.

With `rollout.stop = ["="]` a turn ends where the assistant would write what a sum is. If it ends in a sum, as
`63 - 92`, the calculator says what that is, and the assistant goes on. Any other turn is the answer, whose last number
is compared with the `answer` of the row.
"""

import ast
import json
import operator
import re
import sys

OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
}
# Numbers with something between them, at the end of a turn.
SUM = re.compile(r"[\d(][\d\s.()]*[-+*/][-+*/\d\s.()]*$")


def value(node):
    """The value of an expression of numbers, + - * / and parentheses."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return OPERATORS[type(node.op)](value(node.left), value(node.right))
    if isinstance(node, ast.UnaryOp) and type(node.op) in OPERATORS:
        return OPERATORS[type(node.op)](value(node.operand))
    raise ValueError("only numbers, + - * / and parentheses")


def calculated(expression):
    try:
        return f"{value(ast.parse(expression, mode='eval').body):.10g}"
    except (ArithmeticError, RecursionError, SyntaxError, ValueError) as error:
        return f"error: {error}"


def reply(request):
    said = request["messages"][-1]["content"]
    asked = SUM.search(said[-200:])
    if asked and not request["last"]:
        expression = " ".join(asked.group().split())
        return {"message": {"role": "user", "content": f"{expression} = {calculated(expression)}"}}
    numbers = re.findall(r"-?\d+(?:\.\d+)?", said)
    right = not asked and numbers and float(numbers[-1]) == float(request["answer"])
    return {"reward": 1.0 if right else 0.0, "reason": f"said {numbers[-1] if numbers else 'no number'}"}


for line in sys.stdin:
    print(json.dumps(reply(json.loads(line))), flush=True)
