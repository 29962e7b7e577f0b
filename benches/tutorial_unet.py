"""The small U-Net of Song's tutorial, as `scorebook::score::Unet` has it, in PyTorch."""

import math

import torch
from torch import nn


class Block(nn.Module):
    """A convolution, the time embedding, group norm and SiLU."""

    def __init__(self, conv, channels, groups):
        super().__init__()
        self.conv, self.time, self.norm = conv, nn.Linear(256, channels), nn.GroupNorm(groups, channels)

    def forward(self, x, time):
        return nn.functional.silu(self.norm(self.conv(x) + self.time(time)[..., None, None]))


class Unet(nn.Module):
    """The score times the standard deviation; its parameters have our names."""

    def __init__(self):
        super().__init__()
        self.register_buffer("frequencies", torch.randn(128) * 30)
        self.embed = nn.Linear(256, 256)
        down = [(1, 32, 1, 4), (32, 64, 2, 32), (64, 128, 2, 32), (128, 256, 2, 32)]
        for level, (inputs, outputs, stride, groups) in enumerate(down):
            conv = nn.Conv2d(inputs, outputs, 3, stride, bias=False)
            setattr(self, f"down{level + 1}", Block(conv, outputs, groups))
        for level, inputs, outputs, padding, groups in [(4, 256, 128, 0, 32), (3, 256, 64, 1, 32), (2, 128, 32, 1, 4)]:
            conv = nn.ConvTranspose2d(inputs, outputs, 3, 2, output_padding=padding, bias=False)
            setattr(self, f"up{level}", Block(conv, outputs, groups))
        self.out = nn.ConvTranspose2d(64, 1, 3)

    def forward(self, x, t):
        phase = t[:, None] * self.frequencies * math.tau
        time = nn.functional.silu(self.embed(torch.cat([phase.sin(), phase.cos()], 1)))
        h1 = self.down1(x, time)
        h2 = self.down2(h1, time)
        h3 = self.down3(h2, time)
        h = self.up4(self.down4(h3, time), time)
        h = self.up3(torch.cat([h, h3], 1), time)
        h = self.up2(torch.cat([h, h2], 1), time)
        return self.out(torch.cat([h, h1], 1))

    @classmethod
    def load(cls, path):
        from safetensors.torch import load_file

        network = cls()
        network.load_state_dict(load_file(path))
        return network.eval()
