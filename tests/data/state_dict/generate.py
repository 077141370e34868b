"""Makes odd*.pt, odd.safetensors and whole_model.pt: what PyTorch state dicts hold besides contiguous float32."""
import torch
from safetensors.torch import save_file

base = torch.arange(24, dtype=torch.float32) / 7
shared = torch.arange(6, dtype=torch.float32)
odd = {
    "transposed": base.reshape(4, 6).t(),
    "slice": base[5:17].reshape(3, 4)[:, 1:3],
    "stepped": base[::5],
    "half": torch.tensor([1.0, -2.5, 65504.0, 6e-8], dtype=torch.float16),
    "bfloat16": torch.tensor([1.0, -2.5, 3e38], dtype=torch.bfloat16),
    "double": torch.tensor([[1 / 3, -1e300]], dtype=torch.float64),
    "num_batches_tracked": torch.tensor(41),
    "int32": torch.tensor([-(2**31), 7], dtype=torch.int32),
    "int16": torch.tensor([-300, 7], dtype=torch.int16),
    "int8": torch.tensor([-3, 7], dtype=torch.int8),
    "uint8": torch.tensor([0, 255], dtype=torch.uint8),
    "bool": torch.tensor([True, False]),
    "empty": torch.zeros(0, 3),
    "parameter": torch.nn.Parameter(torch.tensor([0.5, 0.25])),
    "shared.a": shared,
    "shared.b": shared[2:],
}
checkpoint = {"epoch": 3, "model_state_dict": odd, "loss": 0.5, "note": None, "history": [1.0, (2, True)]}
torch.save(checkpoint, "odd.pt")
torch.save(checkpoint, "odd_legacy.pt", _use_new_zipfile_serialization=False)
torch.save(checkpoint, "odd_protocol4.pt", pickle_protocol=4)
torch.save(checkpoint, "odd_legacy_protocol4.pt", _use_new_zipfile_serialization=False, pickle_protocol=4)
save_file({name: tensor.detach().clone().contiguous() for name, tensor in odd.items()}, "odd.safetensors")
torch.save(torch.nn.Linear(2, 1), "whole_model.pt")
