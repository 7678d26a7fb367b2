"""What crosses between a test and an answer that live in two processes, and what does not."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import replace

import pytest

from labkit.course import Course, load_course
from labkit.grading.jobs import Cell, Job, Limits, Outcome
from labkit.grading.mistakes import answer_with, load_mistakes
from labkit.grading.sealed import Worker

PS = "ps2-lenet"
LIMITS = Limits(cell_seconds=20, total_seconds=100, memory=1 << 30, disk=32 << 20, processes=30)
IMPATIENT = replace(LIMITS, cell_seconds=2)  # where something does not end by itself


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker(("numpy", "torch", "torch.nn.functional", "labkit.data"), disk=LIMITS.disk) as worker:
        yield worker


def job(*cells: tuple[str, str], answers: str = "", trusted: str = "", limits: Limits = LIMITS, **more) -> Job:
    """A job from (kind, source) pairs; test cells are worth 2 points. ``answers`` are names that an answer defines."""
    made = tuple(
        Cell(index, kind, textwrap.dedent(source), f"cell{index}", 2.0 if kind == "tests" else 0.0)
        for index, (kind, source) in enumerate(cells)
    )
    last = {name: max(i for i, cell in enumerate(made) if cell.kind == "student") for name in answers.split()}
    return Job("ps", "somebody", "key", made, last, trusted, limits=limits, **more)


def scores(outcome: Outcome) -> list[float]:
    return [cell.score for cell in outcome.cells if cell.score is not None]


IMPORTS = ("shared", "import numpy as np\nimport torch\nfrom torch import nn\nimport torch.nn.functional as F")

HONEST = {
    "a function of numbers": ("def f(a, b): return a + b", "assert f(2, 3) == 5\nassert f(0.5, b=1) == 1.5"),
    "nan and infinity": (
        "def f(x): return [float('nan'), -x, 10**400]",
        "a, b, c = f(float('inf'))\nassert a != a and b == float('-inf') and c == 10**400",
    ),
    "containers of every kind": (
        "def f(): return {(1, 2): {3}, 'x': [b'a', range(3), slice(1, None), frozenset([4]), 1j, None]}",
        "assert f() == {(1, 2): {3}, 'x': [b'a', range(3), slice(1, None), frozenset([4]), 1j, None]}",
    ),
    "a list that contains itself": ("x = []\nx.append(x)", "assert x[0] is x"),
    "nesting of any depth": (
        "x = []\nfor _ in range(20000): x = [x]",
        "n = 0\nwhile x:\n    x, n = x[0], n + 1\nassert n == 20000",
    ),
    "a dictionary that counts": (
        "from collections import Counter, OrderedDict, defaultdict\nf = lambda s: (Counter(s), defaultdict(list, a=[1]))",
        "count, lists = f('aab')\nassert count['a'] == 2 and count['z'] == 0 and lists['new'] == []",
    ),
    "a named tuple": (
        "from collections import namedtuple\nR = namedtuple('R', 'loss accuracy')\ndef f(): return R(0.5, 1)",
        "r = f()\nassert r.loss == 0.5 and tuple(r) == (0.5, 1) and isinstance(r, tuple)",
    ),
    "an array changed in place": ("def f(a): a[0] = 7", "a = np.zeros(3)\nf(a)\nassert a.tolist() == [7, 0, 0]"),
    "an array left alone": ("def f(a): return a * 2", "a = np.ones(3)\nf(a)\nassert a.tolist() == [1, 1, 1]"),
    "a list that was filled": ("def f(x): x.append(len(x))", "x = [5]\nf(x)\nf(x)\nassert x == [5, 1, 2]"),
    "the same object comes back": (
        "def f(x): return x",
        "x = [1]\nassert f(x) is x\nt = torch.ones(2)\nassert f(t) is t",
    ),
    "a scalar of numpy": ("def f(x): return np.float32(x)", "assert isinstance(f(1), np.float32) and f(2) == 2"),
    "an array of objects": (
        "def f(): return np.array([[1, 'a'], [None, 2.5]], dtype=object)",
        "a = f()\nassert a.shape == (2, 2) and a[0, 1] == 'a' and a[1, 0] is None",
    ),
    "a function as an argument": ("def f(g, x): return g(g(x))", "k = 3\nassert f(lambda x: x + k, 1) == 7"),
    "a test that counts its calls": (
        "def f(g): return [g(i) for i in range(4)]",
        "calls = []\ndef g(x):\n    calls.append(x)\n    return -x\nassert f(g) == [0, -1, -2, -3] and calls == [0, 1, 2, 3]",
    ),
    "a function that returns a function": (
        "def f(n): return lambda x: x + n",
        "assert f(2)(3) == 5 and callable(f(1))",
    ),
    "a generator": (
        "def f():\n    n = 0\n    while True:\n        yield n\n        n += 1",
        "g = f()\nassert [next(g) for _ in range(3)] == [0, 1, 2]\nassert next(iter(f())) == 0",
    ),
    "an error that is asked for": (
        "def f(x):\n    if x < 0: raise ValueError('negative')\n    return x",
        "try:\n    f(-1)\nexcept ValueError as error:\n    assert 'negative' in str(error)\nelse:\n    assert False",
    ),
    "an error of the student's own": (
        "class TooSmall(ValueError): pass\ndef f(x): raise TooSmall('no')",
        "try:\n    f(-1)\nexcept TooSmall as error:\n    assert str(error) == 'no' and isinstance(error, ValueError)\nelse:\n    assert False",
    ),
    "an error of a library": (
        "def f(): return np.linalg.inv(np.zeros((2, 2)))",
        "try:\n    f()\nexcept np.linalg.LinAlgError:\n    pass\nelse:\n    assert False",
    ),
    "a class with operators": (
        """
        class V:
            def __init__(self, x, y): self.x, self.y = x, y
            def __add__(self, o): return V(self.x + o.x, self.y + o.y)
            def __eq__(self, o): return (self.x, self.y) == (o.x, o.y)
            def __len__(self): return 2
            def __getitem__(self, i): return (self.x, self.y)[i]
            def __repr__(self): return f'V({self.x}, {self.y})'
        """,
        "v = V(1, 2) + V(3, 4)\nassert isinstance(v, V) and (v.x, v.y) == (4, 6) and v == V(4, 6) and v != V(0, 0)\n"
        "assert len(v) == 2 and v[1] == 6 and list(v) == [4, 6]\nv.x = 9\nassert v.x == 9",
    ),
    "a context manager": (
        "class C:\n    log = []\n    def __enter__(self): self.log.append('in'); return self\n"
        "    def __exit__(self, *_): self.log.append('out')",
        "with C() as c:\n    pass\nassert C.log == ['in', 'out']",
    ),
    "what is printed": (
        "def f(): print('hello')",
        "import io, contextlib\nout = io.StringIO()\nwith contextlib.redirect_stdout(out):\n    f()\nassert out.getvalue() == 'hello\\n'",
    ),
    "its signature and its source": (
        "def f(a, b=2):\n    'Adds.'\n    return a + b",
        "import inspect\nassert list(inspect.signature(f).parameters) == ['a', 'b']\n"
        "assert 'return a + b' in inspect.getsource(f) and f.__name__ == 'f' and f.__doc__ == 'Adds.'",
    ),
    "a variable": ("x = 3\nweights = np.arange(3.0)", "assert x == 3 and weights.sum() == 3\nassert 'x' in globals()"),
    "a generator of random numbers": (
        "def f(rng): return rng.normal(size=2)",
        "a, b = np.random.default_rng(1), np.random.default_rng(1)\nwant = a.normal(size=2)\n"
        "assert np.allclose(f(b), want) and a.normal() == b.normal()",
    ),
    "seeds of the test": (
        "def f(): return torch.randn(2), np.random.rand()",
        "torch.manual_seed(3); np.random.seed(4)\nt, a = f()\ntorch.manual_seed(3); np.random.seed(4)\n"
        "assert torch.equal(t, torch.randn(2)) and a == np.random.rand() and not torch.equal(f()[0], f()[0])",
    ),
    "gradients through an answer": (
        "def f(x): return (x ** 3).sum()",
        "x = torch.tensor([1.0, 2.0], requires_grad=True)\nf(x * 2).backward()\nassert x.grad.tolist() == [24, 96]",
    ),
    "gradients inside an answer": (
        "def f(x):\n    (x ** 2).sum().backward()\n    return x.grad",
        "x = torch.tensor([1.0, 2.0], requires_grad=True)\ng = f(x)\nassert g.tolist() == [2, 4] and x.grad.tolist() == [2, 4]",
    ),
    "a student's model, trained by the test": (
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.fc = nn.Linear(3, 2)\n"
        "    def forward(self, x): return self.fc(x).relu()\n    def twice(self, x): return self(x) * 2",
        """
        torch.manual_seed(0)
        model = Net()
        assert isinstance(model, nn.Module) and isinstance(model, Net) and model.fc.out_features == 2
        X, y = torch.randn(8, 3), torch.arange(8) % 2
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        losses = []
        for _ in range(30):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(X), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < losses[0] - 0.01, losses
        assert torch.allclose(model.twice(X), 2 * model(X))
        model.eval()
        assert not model.training and sum(p.numel() for p in model.parameters()) == 8
        """,
    ),
    "a test's model, trained by the student": (
        "def f(model, optimizer, X, y):\n    model.train()\n    optimizer.zero_grad()\n"
        "    loss = F.cross_entropy(model(X), y)\n    loss.backward()\n    optimizer.step()\n    return loss.item()",
        """
        import copy
        model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.0), nn.Linear(4, 2)).eval()
        twin = copy.deepcopy(model)
        mine, theirs = torch.optim.Adam(twin.parameters(), lr=0.1), torch.optim.Adam(model.parameters(), lr=0.1)
        X, y = torch.randn(8, 3), torch.arange(8) % 2
        for _ in range(3):
            want = F.cross_entropy(twin(X), y)
            mine.zero_grad(); want.backward(); mine.step()
            assert abs(f(model, theirs, X, y) - want.item()) < 1e-6
        assert all(torch.allclose(a, b) for a, b in zip(model.parameters(), twin.parameters())) and model.training
        assert len(theirs.state) == 4
        """,
    ),
    "a model made of library layers": (
        "model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))",
        "assert isinstance(model[0], nn.Linear) and model[2].in_features == 3 and model(torch.ones(4, 2)).shape == (4, 1)",
    ),
    "a witness that remembers": (
        "def f(model, X):\n    model.eval()\n    with torch.no_grad():\n        return model(X).sum().item()",
        """
        class Witness(nn.Module):
            def __init__(self):
                super().__init__()
                self.seen = []
            def forward(self, X):
                self.seen.append(self.training)
                return X
        witness = Witness()
        assert f(witness, torch.ones(3)) == 3.0 and witness.seen == [False] and not witness.training
        """,
    ),
    "a plain object of the test": (
        "def f(account): account.balance += 5; account.log.append('paid')",
        "class Account:\n    def __init__(self): self.balance, self.log = 0, []\na = Account()\nf(a)\nassert a.balance == 5 and a.log == ['paid']",
    ),
    "switching gradients off for good": (
        "def f(): torch.set_grad_enabled(False)",
        "f()\nseen = torch.is_grad_enabled()\ntorch.set_grad_enabled(True)\nassert not seen",
    ),
    "a part that runs on the student's side": (
        "def f(x): return {'inner': lambda: x}",
        """
        start = 20
        ### BEGIN STUDENT SIDE
        box = f(start)
        value = box['inner']() + 1
        ### END STUDENT SIDE
        assert value == 21
        """,
    ),
    "magics and pictures in a student's cell": (
        "%time x = 1\nfrom IPython.display import display, HTML\ndisplay(HTML('<b>x</b>'))\nx + 1",
        "assert x == 1",
    ),
}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_answer_is_judged_as_in_one_process(worker, name):
    answer, test = map(textwrap.dedent, HONEST[name])
    names = "f x V C Net model weights TooSmall R"
    outcome = worker.run(job(IMPORTS, ("student", answer), ("tests", test), answers=names))
    assert scores(outcome) == [2.0], outcome.cells[-1].message
    assert not outcome.stopped and outcome.sealed


def test_a_table_crosses_and_changes_are_seen(worker):
    pytest.importorskip("pandas")
    outcome = worker.run(
        job(
            ("shared", "import pandas as pd"),
            ("student", "def f(t):\n    t['c'] = t.a * 2\n    return t.groupby('b').a.mean()"),
            (
                "tests",
                "t = pd.DataFrame({'a': [1.0, 2, 3], 'b': ['x', 'y', 'x']})\nm = f(t)\n"
                "assert list(t.columns) == ['a', 'b', 'c'] and m['x'] == 2 and m.index.name == 'b'",
            ),
            answers="f",
        )
    )
    assert scores(outcome) == [2.0], outcome.cells[-1].message


FORGED = {
    "an object equal to everything": "class E:\n    def __eq__(self, o): return True\n    def __ne__(self, o): return False\n    __hash__ = object.__hash__\ndef f(*a): return E()",
    "a number equal to everything": "class E(int):\n    def __eq__(self, o): return True\n    def __sub__(self, o): return 0\n    __rsub__ = __sub__\ndef f(*a): return E(1)",
    "an object that reckons to please": "class E:\n    def __getattr__(self, n): return lambda *a: 0\n    def __rsub__(self, o): return 0.0\n    __sub__ = __abs__ = __rsub__\n    def __eq__(self, o): return True\ndef f(*a): return E()",
    "an array equal to everything": "class E(np.ndarray):\n    def __eq__(self, o): return np.ones(self.shape, bool)\n    def __sub__(self, o): return np.zeros(self.shape)\ndef f(*a): return np.zeros(()).view(E)",
    "patched asserts": "import builtins\nbuiltins.AssertionError = type('A', (BaseException,), {})\nget_ipython().ast_transformers.append(__import__('ast').NodeTransformer())\ndef f(*a): return 0",
    "a patched numpy": "np.allclose = np.array_equal = np.isclose = lambda *a, **k: True\nimport numpy.testing\nnumpy.testing.assert_allclose = lambda *a, **k: None\ndef f(*a): return 0",
    "patched builtins": "import builtins\nbuiltins.abs = builtins.len = lambda *a: 0\nbuiltins.isinstance = lambda *a: True\nabs = lambda x: 0\nclose = lambda *a: True\nnp = None\ndef f(*a): return 0",
    "leaving the process in the function": "import os\ndef f(*a): os._exit(0)",
    "leaving Python in the function": "import sys\ndef f(*a): sys.exit(0)",
    "an exception that is swallowed": "def f(*a): raise KeyboardInterrupt",
    "speaking with the judge itself": "import gc\nfrom labkit.grading.sealed.wire import Wire\nwire = [w for w in gc.get_objects() if isinstance(w, Wire)][0]\ndef f(*a):\n    for _ in range(3): wire.send({'values': {'root': 0, 'new': []}, 'gradients': True, 'score': 2.0, 'verdict': True})\n    return 0",
    "bytes that are no message": "import gc, socket\ns = [w for w in gc.get_objects() if isinstance(w, socket.socket)][0]\ndef f(*a): s.sendall(b'\\xff' * 64)",
    "a message larger than memory": "import gc, socket, struct\ns = [w for w in gc.get_objects() if isinstance(w, socket.socket)][0]\ndef f(*a): s.sendall(struct.pack('>QI', 1 << 60, 9))",
    "no answer": "def f(*a):\n    while True: pass",
    "no answer, and no interruption": "import signal\ndef f(*a):\n    signal.signal(signal.SIGINT, signal.SIG_IGN)\n    while True: pass",
    "a list without end": "def f(*a): return iter(int, 1)",
    "a pickle with a sting": "class P:\n    def __reduce__(self): return (__import__('os').system, ('touch /tmp/stung',))\ndef f(*a): return P()",
    "writing into the judge's modules": "import gc\nfrom labkit.grading.sealed.wire import Wire\nwire = [w for w in gc.get_objects() if isinstance(w, Wire)][0]\ndef f(*a):\n    update = [[n, 'object', 'library', ['a', 'b'], [['allclose', 5], ['__builtins__', 5]]] for n in range(0, 40, 2)]\n    wire.send({'values': {'root': 5, 'new': update}, 'gradients': True})\n    return 0",
    "deep recursion": "import sys\nsys.setrecursionlimit(10**6)\ndef f(*a): return f(*a)",
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_answer_gets_nothing_and_the_next_student_is_graded(worker, name):
    tests = [
        ("tests", "assert f(2, 3) == 5"),
        ("tests", "assert abs(f(2, 3) - 5) < 1e-9"),
        ("tests", "np.testing.assert_allclose(f(2, 3), 5)"),
        ("tests", "def close(a, b):\n    return np.allclose(np.asarray(a, dtype=float), b)\nassert close(f(2, 3), 5)"),
    ]
    outcome = worker.run(job(IMPORTS, ("student", FORGED[name]), *tests, answers="f", limits=IMPATIENT))
    assert scores(outcome) == [0.0] * 4
    assert all(cell.message for cell in outcome.cells if cell.score == 0)
    good = worker.run(job(IMPORTS, ("student", "def f(a, b): return a + b"), *tests, answers="f"))
    assert scores(good) == [2.0] * 4 and not good.stopped


WALLED = {
    "the network": "import socket\ns = socket.socket(); s.settimeout(1); s.connect(('1.1.1.1', 53))",
    "the course": "open('{root}/pyproject.toml').read()",
    "another process's memory": "open('/proc/1/mem', 'r+b').read(1)",
    "its parent's environment": "open('/proc/1/environ').read()",
    "tracing its parent": "import ctypes, os\nif ctypes.CDLL(None, use_errno=True).ptrace(16, 1, 0, 0): raise OSError",
    "Python's packages": "import numpy\nopen(numpy.__file__, 'a')",
    "100 GB of memory": "bytearray(100 << 30)",
    "more disk than there is": "with open('/tmp/x', 'wb') as f:\n    for _ in range(200): f.write(bytes(1 << 20)); f.flush()",
    "more open files than allowed": "kept = [open('/dev/null') for _ in range(2000)]",
    "a message queue": "import ctypes\nif ctypes.CDLL(None, use_errno=True).mq_open(b'/q', 66, 0o600, None) < 0: raise OSError",
    "the devices": "open('/dev/left-behind', 'w')",
    "the keyboard": "input('password? ')",
}


@pytest.mark.parametrize("name", WALLED)
def test_the_wall_holds(worker, name, course: Course):
    source = WALLED[name].replace("{root}", str(course.root))
    outcome = worker.run(
        job(("student", f"{source}\nreached = True"), ("tests", "assert 'reached' in globals()"), answers="reached")
    )
    assert scores(outcome) == [0.0]
    assert outcome.cells[0].outputs[-1]["output_type"] == "error", outcome.cells[0].outputs


def test_nothing_is_left_for_the_next_student(worker):
    leave = """
    import os, subprocess, sys, builtins, numpy as np
    os.makedirs('/tmp/home/a/b', exist_ok=True); open('/tmp/note', 'w').write('hi'); open('/dev/shm/note', 'w').write('hi')
    os.chmod('/tmp/home/a', 0)
    os.symlink('/proc/1', 'link'); builtins.left = 1; np.left = 1; os.environ['LEFT'] = '1'
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True: open('/tmp/heartbeat', 'a').write('x')
        os._exit(0)
    """
    look = """
    import os, builtins, numpy as np
    found = [p for p in ('/tmp/note', '/dev/shm/note', '/tmp/home/a', 'link', '/tmp/heartbeat') if os.path.lexists(p)]
    found += [str(hasattr(np, 'left')), str(hasattr(builtins, 'left')), str('LEFT' in os.environ)]
    found += [p for p in os.listdir('/proc') if p.isdigit() and int(p) not in (1, os.getpid())]
    """
    worker.run(job(("student", leave)))
    outcome = worker.run(job(("student", look), ("tests", "assert found == ['False'] * 3, found"), answers="found"))
    assert scores(outcome) == [2.0], outcome.cells[-1].message


def test_what_the_wall_itself_has_put_there_cannot_be_spoilt(worker):
    outcome = worker.run(
        job(("student", "import os\nfor place in ('/tmp', '/tmp/home', '/dev/shm'): os.chmod(place, 0)"))
    )
    assert not outcome.stopped
    look = "open('/tmp/x', 'w').write('y')\nfrom importlib import reload\nimport wave\nn = 1"
    outcome = worker.run(job(("student", look), ("tests", "assert n == 1"), answers="n"))
    assert scores(outcome) == [2.0], outcome.cells[0].outputs


def test_the_names_of_the_tests_are_not_handed_over(worker):
    take = "def f(names):\n    names['close'] = lambda *a: True\n    return 1"
    test = "def close(a, b):\n    return a == b\nf(globals())\nassert close(1, 2)"
    outcome = worker.run(job(("student", take), ("tests", test), answers="f"))
    assert scores(outcome) == [0.0] and "cannot be handed" in outcome.cells[1].message


def test_a_module_that_was_an_argument_stays_the_judges_own(worker):
    patch = "def f(module):\n    module.allclose = lambda *a: True\n    module.__dict__['allclose'] = lambda *a: True\n    return 1"
    outcome = worker.run(job(IMPORTS, ("student", patch), ("tests", "f(np)\nassert np.allclose(1, 2)"), answers="f"))
    assert scores(outcome) == [0.0]


def test_shared_memory_of_the_kernel_is_not_passed_on(worker):
    leave = "import ctypes\nn = ctypes.CDLL(None).shmget(77, 4096, 0o1666)"
    outcome = worker.run(job(("student", leave), ("tests", "assert n >= 0"), answers="n"))
    assert scores(outcome) == [2.0]
    look = "import ctypes\nn = ctypes.CDLL(None).shmget(77, 4096, 0)"
    outcome = worker.run(job(("student", look), ("tests", "assert n == -1"), answers="n"))
    assert scores(outcome) == [2.0]


def test_a_fork_bomb_is_ended_and_said(worker):
    bomb = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"
    outcome = worker.run(job(("student", bomb), ("tests", "assert True"), ("tests", "assert f() == 1"), answers="f"))
    assert scores(outcome)[1] == 0 and outcome.stopped
    assert scores(worker.run(job(("student", "def f(): return 1"), ("tests", "assert f() == 1"), answers="f"))) == [2.0]


def test_what_came_before_the_end_keeps_its_points(worker):
    outcome = worker.run(
        job(
            ("student", "def f(): return 1"),
            ("tests", "assert f() == 1"),
            ("student", "import os; os._exit(3)"),
            ("tests", "assert f() == 1"),
            answers="f",
        )
    )
    assert scores(outcome) == [2.0, 0.0] and "exit status 3" in outcome.stopped


def test_an_endless_cell_is_interrupted_and_the_next_one_runs(worker):
    outcome = worker.run(
        job(
            ("student", "while True: pass"),
            ("student", "x = 1"),
            ("tests", "assert x == 1"),
            answers="x",
            limits=IMPATIENT,
        )
    )
    assert scores(outcome) == [2.0] and "longer than 2 seconds" in outcome.cells[0].outputs[0]["evalue"]


def test_sixty_megabytes_of_output_become_a_note(worker):
    outcome = worker.run(
        job(("student", "for _ in range(60): print('x' * 1_000_000)\ny = 1"), ("tests", "assert y == 1"), answers="y")
    )
    assert scores(outcome) == [2.0]
    assert len(str(outcome.to_dict())) < 300_000 and "too long" in outcome.cells[0].outputs[0]["text"]


@pytest.mark.parametrize(
    ("value", "score", "review"),
    [("1", 1, False), ("2", 2, False), ("None", 2, False), ("np.float64(0.5)", 0.5, False), ("torch.tensor(1)", 1, False),
     ("f()", 0, True), ("-1", 0, True), ("99", 0, True), ("'2'", 2, False), ("True", 2, False), ("'done'", 2, False), ("2 * h()", 0, True), ("1j * 2", 0, True), ("h() == [1]", 0, True), ("g()", 0, True)],
)  # fmt: skip
def test_the_last_value_is_the_points_where_it_can_be(worker, value, score, review):
    outcome = worker.run(
        job(
            IMPORTS,
            ("student", "def f(): return float('nan')\ndef g(): return object()\ndef h(): return [1]"),
            ("tests", value),
            answers="f g",
        )
    )
    cell = outcome.cells[-1]
    assert (cell.score, cell.review) == (score, review), cell.message


def test_a_warning_on_stderr_costs_nothing(worker):
    outcome = worker.run(
        job(("student", "import sys, warnings\ndef f():\n    warnings.warn('old'); print('x', file=sys.stderr); return 1"),
            ("tests", "import sys\nprint('note', file=sys.stderr)\nassert f() == 1"), answers="f")
    )  # fmt: skip
    assert scores(outcome) == [2.0]


def test_a_bare_assert_is_explained_and_a_hidden_one_not_shown(worker):
    outcome = worker.run(
        job(
            ("student", "def add(a, b): return a - b"),
            ("tests", "assert add(2, 3) == 5"),
            ("tests", "### BEGIN HIDDEN TESTS\nassert add(2, 3) == 5\n### END HIDDEN TESTS"),
            answers="add",
        )
    )
    visible, hidden = [cell.message for cell in outcome.cells if cell.score is not None]
    assert "add(2, 3) == 5" in visible and "-1" in visible
    assert "hidden test" in hidden and "add" not in hidden and "5" not in str(outcome.cells[2].outputs)


def test_an_error_names_the_line_of_the_student(worker):
    outcome = worker.run(job(("student", "def f(x):\n    return 1 / x"), ("tests", "f(0)"), answers="f"))
    assert "ZeroDivisionError" in outcome.cells[1].message and "line 2: return 1 / x" in outcome.cells[1].message


def test_a_helper_of_the_tests_cannot_be_replaced_but_an_answer_may_be_a_builtin(worker):
    outcome = worker.run(
        job(
            ("tests", "def close(a, b):\n    return abs(a - b) < 1e-9"),
            ("student", "def close(a, b): return True\ndef f(): return 3\ndef sorted(x): return ['mine']"),
            ("tests", "assert close(f(), 4)"),
            ("tests", "assert sorted([2, 1]) == ['mine']"),
            answers="f sorted",
        )
    )
    assert scores(outcome) == [2.0, 0.0, 2.0]


def test_imports_of_plain_cells_are_the_instructors_own(worker):
    trusted = "from numpy.testing import assert_allclose\ndef helper(x):\n    return x + 1"
    outcome = worker.run(
        job(
            ("student", "assert_allclose = lambda *a: None\nhelper = lambda x: 5\ndef f(): return 3"),
            ("tests", "assert_allclose(f(), 5)"),
            ("tests", "assert helper(f()) == 4"),
            trusted=trusted,
            answers="f",
        )
    )
    assert scores(outcome) == [0.0, 2.0]


def test_files_beside_the_notebook_are_there_and_shadow_nothing_of_the_judge(worker):
    outcome = worker.run(
        job(
            ("student", "import os, helper\ntext = open('data.csv').read() + helper.word"),
            (
                "tests",
                "import numpy as np\nassert text == '1,2ok' and open('data.csv').read() == '1,2' and np.ones(2).sum() == 2",
            ),
            answers="text",
            files={"data.csv": b"1,2"},
            student_files={"helper.py": b"word = 'ok'", "numpy.py": b"raise SystemExit"},
        )
    )
    assert scores(outcome) == [2.0], outcome.cells[-1].message


def test_memory_is_told_for_answers_and_for_what_a_test_made_them_use(worker):
    outcome = worker.run(
        job(("student", "def f(n): return len(b'x' * n)"),
            ("tests", "assert f(10) == 10"), ("tests", "assert f(300_000_000) == 300_000_000"), answers="f")
    )  # fmt: skip
    assert scores(outcome) == [2.0, 2.0]
    answer, small, large = [cell.memory for cell in outcome.cells]
    assert 0 < answer <= small < large - 200_000_000


def test_results_that_fill_the_judge_cost_the_student_and_nobody_else(worker):
    huge = "def f(): return np.zeros(100 << 20, dtype=np.uint8)\ndef g(): return 1"
    tests = [("tests", "assert g() == 1"), ("tests", "kept = [f() for _ in range(60)]\nassert len(kept) == 60")]
    outcome = worker.run(job(IMPORTS, ("student", huge), *tests, answers="f g"))
    assert scores(outcome) == [2.0, 0.0]
    assert re.search("MemoryError|more than the judge can hold|longer than|program ended", outcome.cells[3].message)
    good = worker.run(job(IMPORTS, ("student", "def f(): return 1\ndef g(): return 1"), *tests, answers="f g"))
    assert scores(good) == [2.0, 2.0]


def test_the_same_job_gives_the_same_outcome(worker):
    cells = [IMPORTS, ("student", "x = (np.random.rand(), torch.rand(1).item(), __import__('random').random())\nx")]
    first, second = (worker.run(job(*cells)).cells[1].outputs for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    "ps",
    [pytest.param(ps, marks=() if ps == PS else pytest.mark.slow) for ps in load_course().assignments],
    indirect=True,
)
def test_every_known_mistake_of_the_course_gets_what_it_deserves(worker, course, ps, solution):
    from labkit.grading.plan import plan

    about = {"assignment": ps, "student": "x", "key": "k", "files": {}, "student_files": {}, "limits": Limits()}
    for mistakes in [[], *[[mistake] for mistake in load_mistakes(course, ps)]]:
        made = plan(answer_with(solution, mistakes), solution, **about)
        outcome = worker.run(made)
        tests = [pair for pair in zip(made.cells, outcome.cells, strict=True) if pair[0].kind == "tests"]
        want = {cell.grade_id: cell.points for cell, _ in tests}
        for mistake in mistakes:
            want |= mistake.points
        assert {cell.grade_id: one.score for cell, one in tests} == want, mistakes
        assert all(len(one.message) > 25 for cell, one in tests if one.score < cell.points)


def test_where_no_wall_can_be_had_nothing_is_graded(monkeypatch):
    from labkit.errors import LabkitError
    from labkit.grading.sealed import walls

    walls.check.cache_clear()
    monkeypatch.setattr(walls, "find_bubblewrap", lambda: None)
    with pytest.raises(LabkitError, match="apt install bubblewrap"):
        Worker()
    walls.check.cache_clear()


def test_unsealed_is_possible_and_marked():
    with Worker(("numpy",), sealed=False) as worker:
        outcome = worker.run(job(("student", "def f(): return 1"), ("tests", "assert f() == 1"), answers="f"))
    assert scores(outcome) == [2.0] and not outcome.sealed


@pytest.mark.slow
def test_keras_models_cross_both_ways():
    pytest.importorskip("tensorflow")
    imports = ("shared", "import numpy as np\nimport keras\nimport tensorflow as tf")
    answer = """
    def build():
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax", name="out")])

    def train(model, X, y):
        model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
        return model.fit(X, y, epochs=2, verbose=0).history["loss"]

    def double(t):
        return t * 2
    """
    of_the_student = """
    model = build()
    assert isinstance(model, keras.Model) and model.count_params() == 15
    assert model.layers[0].units == 3 and model.layers[0].name == "out"
    out = model.predict(np.ones((2, 4)), verbose=0)
    assert out.shape == (2, 3) and np.allclose(out.sum(axis=1), 1)
    model.layers[0].set_weights([np.zeros((4, 3)), np.zeros(3)])
    assert np.allclose(model(np.ones((2, 4))), 1 / 3)
    """
    of_the_test = """
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    before = [w.copy() for w in model.get_weights()]
    X, y = np.random.rand(30, 4), np.arange(30) % 3
    losses = train(model, X, y)
    assert len(losses) == 2 and losses[1] < losses[0]
    assert not np.allclose(before[0], model.get_weights()[0])
    again = train(model, X, y)
    assert again[1] < losses[1]
    t = double(tf.constant([1.0, 2.0]))
    assert isinstance(t, tf.Tensor) and t.numpy().tolist() == [2, 4]
    """
    slow = Limits(cell_seconds=60, total_seconds=200)
    with Worker(("numpy", "tensorflow", "keras")) as worker:
        made = job(
            imports,
            ("student", answer),
            ("tests", of_the_student),
            ("tests", of_the_test),
            answers="build train double",
        )
        outcome = worker.run(replace(made, limits=slow))
    assert scores(outcome) == [2.0, 2.0], [cell.message for cell in outcome.cells]


@pytest.mark.slow
def test_arrays_of_jax_cross_both_ways():
    pytest.importorskip("jax")
    imports = ("shared", "import numpy as np\nimport jax\nimport jax.numpy as jnp")
    answer = "def f(x): return {'y': jnp.sin(x), 'g': jax.grad(lambda v: (v**2).sum())(x)}"
    test = """
    out = f(jnp.arange(3.0))
    assert isinstance(out["y"], jax.Array) and np.allclose(out["y"], np.sin(np.arange(3)))
    assert np.allclose(out["g"], [0, 2, 4])
    """
    with Worker(("numpy", "jax")) as worker:
        made = job(imports, ("student", answer), ("tests", test), answers="f")
        outcome = worker.run(replace(made, limits=Limits(cell_seconds=60, total_seconds=200)))
    assert scores(outcome) == [2.0], outcome.cells[-1].message
