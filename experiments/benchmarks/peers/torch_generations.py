"""The layers `gated_delta` and `ttt` in PyTorch, chunk by chunk as their papers compute them; loci itself needs no Python.

    python3 torch_generations.py delta|ttt WIDTH LAYERS HEADS CONTEXT BATCH [--ffn N] [--solve] [--threads N] [--steps N]

Trains on random bytes the stack of ../generations.yaml: RMS norms, the layer, a GELU of `--ffn` units (4 x width; 0: none, the
layers alone), AdamW, norm clipped at 1. The delta rule's triangle is inverted row by row, as the chunked references of its authors
do; `--solve` leaves it to torch.linalg. Prints one line of JSON; tokens_per_second is the median over the timed steps.
"""
import argparse, json, statistics, time
import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("layer", choices=("delta", "ttt"))
for size in ("width", "layers", "heads", "context", "batch"):
    parser.add_argument(size, type=int)
parser.add_argument("--ffn", type=int)
parser.add_argument("--solve", action="store_true")
parser.add_argument("--threads", type=int, default=torch.get_num_threads())
parser.add_argument("--steps", type=int, default=4)
o = parser.parse_args()
torch.set_num_threads(o.threads)
torch.manual_seed(1)
dim = o.width // o.heads
ffn = 4 * o.width if o.ffn is None else o.ffn


def heads_of(x):  # [batch, time, heads dim] -> [batch, heads, time, dim]
    return x.unflatten(-1, (o.heads, -1)).transpose(1, 2)


class Conv(nn.Conv1d):
    def __init__(self):
        super().__init__(o.width, o.width, 4, groups=o.width, padding=3, bias=False)

    def forward(self, x):
        return super().forward(x.transpose(1, 2))[..., :x.shape[1]].transpose(1, 2)


def unit_inverse(lower):
    """(1 + lower)^-1 of a strictly lower triangle: row i is -lower_i times the rows before it, which stand already."""
    if o.solve:
        eye = torch.eye(lower.shape[-1]).expand_as(lower)
        return torch.linalg.solve_triangular(eye + lower, eye, upper=False, unitriangular=True)
    rows = -lower
    for i in range(1, lower.shape[-1]):
        row, above = rows[..., i, :i].clone(), rows[..., :i, :i].clone()
        rows[..., i, :i] = row + (row[..., None] * above).sum(-2)
    return rows + torch.eye(lower.shape[-1])


class Delta(nn.Module):
    """S <- exp(g) S; S <- S + k (beta (v - S^T k))^T; o = S^T q / sqrt(dim), 64 positions at a time."""

    def __init__(self):
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(o.width, o.width, bias=False) for _ in range(5))  # q k v gate out
        self.convs = nn.ModuleList(Conv() for _ in range(3))
        self.beta, self.decay = nn.Linear(o.width, o.heads, bias=False), nn.Linear(o.width, o.heads)
        self.a_log = nn.Parameter(torch.zeros(o.heads))
        self.norm = nn.RMSNorm(dim)

    def forward(self, x, chunk=64):
        q, k, v = (heads_of(F.silu(c(m(x)))) for c, m in zip(self.convs, self.maps))
        q, k = F.normalize(q, dim=-1) * dim ** -0.5, F.normalize(k, dim=-1)
        beta = heads_of(self.beta(x).sigmoid())
        g = heads_of(-self.a_log.exp() * F.softplus(self.decay(x))).squeeze(-1)
        q, k, v, beta = (t.unflatten(2, (-1, chunk)) for t in (q, k, v, beta))
        g = g.unflatten(2, (-1, chunk)).cumsum(-1)
        fade = (g[..., :, None] - g[..., None, :]).tril().exp().tril()
        inverse = unit_inverse(((k * beta) @ k.transpose(-1, -2) * fade).tril(-1))
        u, w = inverse @ (v * beta), inverse @ (k * beta * g.exp()[..., None])
        inside = q @ k.transpose(-1, -2) * fade
        state, out = torch.zeros(x.shape[0], o.heads, dim, dim), []
        for i in range(q.shape[2]):
            new = u[:, :, i] - w[:, :, i] @ state
            out.append((q[:, :, i] * g[:, :, i].exp()[..., None]) @ state + inside[:, :, i] @ new)
            last = g[:, :, i, -1, None]
            state = state * last[..., None].exp() + (k[:, :, i] * (last - g[:, :, i]).exp()[..., None]).transpose(-1, -2) @ new
        y = self.norm(torch.cat(out, 2)).transpose(1, 2).flatten(2)
        return self.maps[4](y * F.silu(self.maps[3](x)))


def rotate(x, cos, sin):
    """Pairs (x_j, x_(j + dim/2)) of heads by cos, sin [time, dim / 2]."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class TTT(nn.Module):
    """A linear model per head, a gradient step on every 16 positions, in its dual form."""

    def __init__(self):
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(o.width, o.width, bias=False) for _ in range(4))  # qk v gate out
        self.convs = nn.ModuleList(Conv() for _ in range(2))
        self.lr = nn.Linear(o.width, o.heads)
        self.position = nn.Parameter(torch.zeros(16))
        self.w = nn.Parameter(0.02 * torch.randn(o.heads, dim, dim))
        self.b = nn.Parameter(torch.zeros(o.heads, 1, dim))
        self.gain, self.bias = nn.Parameter(torch.ones(o.heads, 1, dim)), nn.Parameter(torch.zeros(o.heads, 1, dim))
        self.norm = nn.LayerNorm(o.width)

    def inner(self, z, target):
        """Gradient of |n(z) - target|^2 / 2 by z."""
        scale = (z.var(-1, unbiased=False, keepdim=True) + 1e-6).rsqrt()
        n = (z - z.mean(-1, keepdim=True)) * scale
        d = (self.gain * n + self.bias - target) * self.gain
        return (d - d.mean(-1, keepdim=True) - n * (d * n).mean(-1, keepdim=True)) * scale

    def forward(self, x, chunk=16):
        shared = self.maps[0](x)
        q, k, v = heads_of(self.convs[0](shared)), heads_of(self.convs[1](shared)), heads_of(self.maps[1](x))
        angle = torch.arange(x.shape[1])[:, None] % chunk * 10000 ** (-torch.arange(0, dim, 2) / dim)
        q, k = (rotate(t, angle.cos(), angle.sin()) for t in (q, k))
        lr = heads_of(self.lr(x).sigmoid()) / dim
        pos = (1 / torch.arange(1, chunk + 1) + self.position).clamp(min=0)
        w, b, out = self.w.expand(x.shape[0], -1, -1, -1), self.b.expand(x.shape[0], -1, -1, -1), []
        for q, k, v, lr in zip(*(t.split(chunk, 2) for t in (q, k, v, lr))):
            grad = self.inner(k @ w + b, v - k)
            rate = (pos[:, None] * lr.transpose(-1, -2)).tril()
            z = q @ w - (rate * (q @ k.transpose(-1, -2))) @ grad + b - rate @ grad
            out.append(q + F.layer_norm(z, (dim,), eps=1e-6) * self.gain + self.bias)
            last = rate[:, :, -1, :, None]
            w, b = w - (last * k).transpose(-1, -2) @ grad, b - (last * grad).sum(2, keepdim=True)
        y = self.norm(torch.cat(out, 2).transpose(1, 2).flatten(2))
        return self.maps[3](y * F.gelu(self.maps[2](x), approximate="tanh"))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.RMSNorm(o.width)
        self.mixer = Delta() if o.layer == "delta" else TTT()
        self.ffn = ffn and nn.Sequential(nn.RMSNorm(o.width), nn.Linear(o.width, ffn), nn.GELU(), nn.Linear(ffn, o.width))

    def forward(self, x):
        x = x + self.mixer(self.norm(x))
        return x + self.ffn(x) if self.ffn else x


model = nn.Sequential(nn.Embedding(256, o.width), *(Layer() for _ in range(o.layers)), nn.RMSNorm(o.width),
                      nn.Linear(o.width, 256, bias=False))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
text = torch.randint(0, 256, (o.batch, o.context + 1))


def step():
    begin = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    loss = F.cross_entropy(model(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return time.perf_counter() - begin


for _ in range(2):
    step()
seconds = statistics.median(step() for _ in range(o.steps))
print(json.dumps({"peer": "torch " + torch.__version__, "layer": o.layer, "width": o.width, "layers": o.layers,
                  "heads": o.heads, "ffn": ffn, "context": o.context, "batch": o.batch, "threads": o.threads,
                  "tokens_per_second": round(o.batch * o.context / seconds, 1)}))
