#!/usr/bin/env python3
"""An environment for `reinforce`: a calculator, and at the end a reward for the right number.

The assistant asks with `<calc>6 * 7</calc>`; with `rollout.stop = ["</calc>"]` its turn ends there. A turn without a
question is the answer, whose last number is compared with the `answer` of the row.
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
        return f"{value(ast.parse(expression.strip(), mode='eval').body):.10g}"
    except (ArithmeticError, RecursionError, SyntaxError, ValueError) as error:
        return f"error: {error}"


def reply(request):
    said = request["messages"][-1]["content"]
    question = re.search(r"<calc>([^<]*)$", said)
    if question and not request["last"]:
        return {"message": {"role": "user", "content": calculated(question.group(1)[:200])}}
    numbers = re.findall(r"-?\d+(?:\.\d+)?", said)
    right = not question and numbers and float(numbers[-1]) == float(request["answer"])
    return {"reward": 1.0 if right else 0.0, "reason": f"said {numbers[-1] if numbers else 'no number'}"}


for line in sys.stdin:
    print(json.dumps(reply(json.loads(line))), flush=True)
