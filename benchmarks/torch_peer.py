"""The peer: the same networks and the same training step in PyTorch, written as the released scripts write them."""

from __future__ import annotations

import copy

import jax
import torch
import torch.nn.functional as F
from torch import nn

from depthjax.config import Config
from depthjax.train.state import BETAS

# Of the peers: that of jax, if PyTorch can.
DEVICE = "cuda" if jax.default_backend() == "gpu" and torch.cuda.is_available() else "cpu"


class Generator(nn.Module):
    """The released generator: latents (n, d) and emotion (n,) to (n, 1, resolution, resolution)."""

    def __init__(self, resolution: int, width: int, classes: int, latent_size: int) -> None:
        super().__init__()
        self.classes, self.width, self.side = classes, width, resolution // 16
        flat = width * self.side**2
        self.fc = nn.Sequential(nn.Linear(latent_size + classes, flat), nn.BatchNorm1d(flat), nn.LeakyReLU(0.2))
        layers: list[nn.Module] = []
        for i in range(4):
            layers += [nn.ConvTranspose2d(width >> i, width >> (i + 1), 4, 2, 1)]
            layers += [nn.BatchNorm2d(width >> (i + 1)), nn.LeakyReLU(0.2)]
        self.net = nn.Sequential(*layers, nn.Conv2d(width >> 4, 1, 3, padding=1), nn.Tanh())

    def forward(self, latents: torch.Tensor, emotion: torch.Tensor) -> torch.Tensor:
        """Images in [-1, 1]."""
        x = torch.cat([latents, F.one_hot(emotion, self.classes).float()], 1)
        return self.net(self.fc(x).view(-1, self.width, self.side, self.side))


class Discriminator(nn.Module):
    """The released discriminator: images (n, 1, h, w) and emotion (n,) to logits (n,)."""

    def __init__(self, resolution: int, width: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        layers: list[nn.Module] = [nn.Conv2d(1 + classes, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for i in range(3):
            layers += [nn.Conv2d(width << i, width << (i + 1), 4, 2, 1)]
            layers += [nn.BatchNorm2d(width << (i + 1)), nn.LeakyReLU(0.2)]
        self.net = nn.Sequential(*layers, nn.Flatten(), nn.Linear((width << 3) * (resolution // 16) ** 2, 1))

    def forward(self, images: torch.Tensor, emotion: torch.Tensor) -> torch.Tensor:
        """Logits of the images being real."""
        planes = F.one_hot(emotion, self.classes).float()[:, :, None, None].expand(-1, -1, *images.shape[2:])
        return self.net(torch.cat([images, planes], 1))[:, 0]


class Training:
    """Both networks, both teachers, both optimisers, and `step`, which does what `depthjax.train.step.update` does."""

    def __init__(self, config: Config, device: str = "cpu") -> None:
        classes, model, train = len(config.data.emotions), config.model, config.train
        self.train, self.graphs = train, False
        self.generator = Generator(config.data.resolution, model.generator_width, classes, model.latent_size)
        self.discriminator = Discriminator(config.data.resolution, model.discriminator_width, classes)
        for module in (*self.generator.modules(), *self.discriminator.modules()):
            if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        self.generator.to(device)
        self.discriminator.to(device)
        self.start()

    def start(self) -> None:
        """Teachers as copies of the students as they now are, and fresh optimisers."""
        self.generator_teacher = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.discriminator_teacher = copy.deepcopy(self.discriminator).eval().requires_grad_(False)
        self.g_adam = torch.optim.Adam(self.generator.parameters(), self.train.generator_lr, BETAS)
        self.d_adam = torch.optim.Adam(self.discriminator.parameters(), self.train.discriminator_lr, BETAS)

    def compile(self, mode: str) -> None:
        """Compile the four networks; the mode `reduce-overhead` runs them as CUDA graphs, and needs CUDA."""
        self.graphs = mode == "reduce-overhead"
        if self.graphs and DEVICE != "cuda":
            raise RuntimeError("CUDA graphs need a GPU that both jax and PyTorch can use")
        torch._dynamo.reset()  # or the sizes before would use up its limit of recompilations, and this one run eagerly
        torch._dynamo.config.recompile_limit = 64
        for name in ("generator", "discriminator", "generator_teacher", "discriminator_teacher"):
            setattr(self, name, torch.compile(getattr(self, name), mode=mode))

    def step(self, images: torch.Tensor, emotion: torch.Tensor, latents: torch.Tensor) -> dict[str, torch.Tensor]:
        """One step on images (n, 1, h, w), emotion (n,) and latents (n, d): generator, then discriminator."""
        if self.graphs:  # the memory of a graph's outputs, gradients too, is written again in the next step
            torch.compiler.cudagraph_mark_step_begin()
            self.g_adam.zero_grad()
            self.d_adam.zero_grad()
        real, fake = torch.ones_like(images[:, 0, 0, 0]), torch.zeros_like(images[:, 0, 0, 0])
        fakes = self.generator(latents, emotion)
        with torch.no_grad():
            targets = self.generator_teacher(latents, emotion)
        g_adv = F.binary_cross_entropy_with_logits(self.discriminator(fakes, emotion), real)
        g_kd = F.l1_loss(fakes, targets) if self.train.generator_kd_norm == "l1" else F.mse_loss(fakes, targets)
        g_loss = g_adv + self.train.generator_kd_weight * g_kd
        self.g_adam.zero_grad()
        g_loss.backward()
        self.g_adam.step()
        self._average(self.generator_teacher, self.generator)

        fakes = fakes.detach()
        on_real, on_fake = self.discriminator(images, emotion), self.discriminator(fakes, emotion)
        with torch.no_grad():
            real_targets = self.discriminator_teacher(images, emotion).sigmoid()
            fake_targets = self.discriminator_teacher(fakes, emotion).sigmoid()
        d_real = F.binary_cross_entropy_with_logits(on_real, real)
        d_fake = F.binary_cross_entropy_with_logits(on_fake, fake)
        d_kd = (F.mse_loss(on_real.sigmoid(), real_targets) + F.mse_loss(on_fake.sigmoid(), fake_targets)) / 2
        d_loss = (d_real + d_fake) / 2 + self.train.discriminator_kd_weight * d_kd
        self.d_adam.zero_grad()
        d_loss.backward()
        self.d_adam.step()
        self._average(self.discriminator_teacher, self.discriminator)
        names = ("g_loss", "g_adv", "g_kd", "d_loss", "d_adv_real", "d_adv_fake", "d_kd")
        values = (g_loss, g_adv, g_kd, d_loss, d_real, d_fake, d_kd)
        return {name: value.detach() for name, value in zip(names, values, strict=True)}

    @torch.no_grad()
    def _average(self, teacher: nn.Module, student: nn.Module) -> None:
        moving = [*teacher.parameters(), *(b for b in teacher.buffers() if b.is_floating_point())]
        towards = [*student.parameters(), *(b for b in student.buffers() if b.is_floating_point())]
        if self.train.teacher_batch_stats == "frozen":
            moving, towards = list(teacher.parameters()), list(student.parameters())
        torch._foreach_lerp_(moving, towards, 1 - self.train.ema_decay)
