"""RelCon's released nets, written slowly from the published facts, under the names of the official checkpoints."""

import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn


class OfficialEncoder(nn.Module):
    """Stem, residual blocks numbered through, mean over time."""

    def __init__(self, widths=(64, 128, 256), blocks=(3, 4, 6), kernels=(3, 4, 4)):
        super().__init__()
        self.first_block_conv = nn.Conv1d(3, widths[0], 7, stride=2)
        self.first_block_bn = nn.BatchNorm1d(widths[0])
        n_in, stages = widths[0], []
        for width, n, kernel in zip(widths, blocks, kernels):
            for _ in range(n):
                stages.append(OfficialBlock(n_in, width, kernel))
                n_in = width
        self.basicblock_list = nn.ModuleList(stages)

    def forward(self, x):
        x = F.max_pool1d(F.relu(self.first_block_bn(self.first_block_conv(x))), 3, 2)
        for block in self.basicblock_list:
            x = block(x)
        return x.mean(2)


class OfficialBlock(nn.Module):
    def __init__(self, n_in, n_out, kernel):
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm1d(n_in), nn.BatchNorm1d(n_out)
        self.conv1, self.conv2 = nn.Conv1d(n_in, n_out, kernel), nn.Conv1d(n_out, n_out, kernel)
        self.projection_conv = nn.Conv1d(n_in, n_out, 1) if n_in != n_out else nn.Identity()
        self.left, self.right = (kernel - 1) // 2, kernel // 2

    def forward(self, x):
        y = self.conv1(F.pad(F.relu(self.bn1(x)), (self.left, self.right)))
        return self.conv2(F.pad(F.relu(self.bn2(y)), (self.left, self.right))) + self.projection_conv(x)


class OfficialDistance(nn.Module):
    """Cross-attention of one pair at a time, every step as the formula says it."""

    def __init__(self, attention="softmax"):
        super().__init__()
        self.revin = nn.Module()
        self.revin.affine_weight = nn.Parameter(torch.ones(3))
        self.revin.affine_bias = nn.Parameter(torch.zeros(3))
        self.q_func, self.k_func, self.v_func = OfficialConvs(), OfficialConvs(), OfficialConvs()
        self.out_proj = nn.Linear(64, 3)
        self.attention = attention

    def distance(self, anchor, candidate):
        gamma, beta = self.revin.affine_weight[:, None], self.revin.affine_bias[:, None]
        mean = candidate.mean(2, keepdim=True)
        sd = (((candidate - mean) ** 2).mean(2, keepdim=True) + 1e-5).sqrt()
        query = self.q_func(gamma * (anchor - mean) / sd + beta).transpose(1, 2)
        key = self.k_func(gamma * (candidate - mean) / sd + beta).transpose(1, 2)
        value = self.v_func(gamma * (candidate - mean) / sd + beta).transpose(1, 2)
        scores = query @ key.transpose(1, 2) / 8.0
        weights = scores.softmax(2) if self.attention == "softmax" else by_sorting(scores)
        z = self.out_proj(weights @ value).transpose(1, 2)
        rebuilt = (z - beta) / (gamma + 1e-10) * sd + mean
        return ((rebuilt - anchor) ** 2).sum((1, 2))


def by_sorting(scores):
    """Sparsemax by sorting each row (Martins and Astudillo 2016)."""
    z = scores.sort(dim=-1, descending=True).values
    sums = z.cumsum(-1) - 1
    n_kept = (z * torch.arange(1, z.shape[-1] + 1) > sums).sum(-1, keepdim=True)
    return (scores - sums.gather(-1, n_kept - 1) / n_kept).clamp_min(0)


class OfficialConvs(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer0 = OfficialFirst()
        self.layers = nn.Sequential(OfficialLayer(1), OfficialLayer(2))

    def forward(self, x):
        return self.layers(self.layer0(x))


class OfficialFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.dilated_conv = nn.Conv1d(3, 64, 15, padding=7)

    def partial(self, x):
        """A zero-padded convolution whose sums at the borders are scaled by 45 over the taps that lie inside."""
        n_times = x.shape[2]
        inside = torch.tensor([3 * sum(0 <= t + tap < n_times for tap in range(-7, 8)) for t in range(n_times)])
        bias = self.dilated_conv.bias[:, None]
        return (self.dilated_conv(x) - bias) * 45 / inside + bias

    def forward(self, x):
        return F.instance_norm(F.gelu(self.partial(x)))


class OfficialLayer(nn.Module):
    def __init__(self, dilation):
        super().__init__()
        self.bottle = nn.Conv1d(64, 8, 1)
        self.dilated_conv = nn.Conv1d(8, 64, 15, dilation=dilation, padding=7 * dilation)

    def forward(self, x):
        return F.instance_norm(F.gelu(self.dilated_conv(self.bottle(x)) + x))


def save(net, path=None):
    """As the official trainer saves: net, optimizer, epoch and test_loss."""
    path = path or Path(tempfile.mkdtemp()) / "checkpoint_best.pkl"
    optimizer = torch.optim.Adam(net.parameters()).state_dict()
    torch.save({"net": net.state_dict(), "optimizer": optimizer, "epoch": 3, "test_loss": 1.5}, path)
    return path
