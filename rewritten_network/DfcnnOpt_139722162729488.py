import sys
import mindspore
from mindspore import nn
from mindspore.nn import Cell
from mindspore.ops import functional as F
#
#
sys.path.insert(0, '/tmp/dev/lib/python3.11/site-packages/mindspore/nn/layer')
from mindspore.nn.cell import Cell
from mindspore.nn.layer.normalization import _BatchNorm

class _BatchNormOpt(_BatchNorm, Cell):

    def __init__(self):
        Cell.__init__(self)
        for key, value in _BatchNorm.__dict__.items():
            if not key.startswith('__'):
                setattr(_BatchNormOpt, key, value)
#
sys.path.insert(0, '/tmp/dev/lib/python3.11/site-packages/mindspore/nn/layer')
from mindspore.nn.layer.pooling import _PoolNd

class _PoolNdOpt(_PoolNd, Cell):

    def __init__(self):
        Cell.__init__(self)
        for key, value in _PoolNd.__dict__.items():
            if not key.startswith('__'):
                setattr(_PoolNdOpt, key, value)
#
sys.path.insert(0, '/tmp/dev/lib/python3.11/site-packages/mindspore/ops/function')
from mindspore.ops.auto_generate import relu_op, inplace_relu_op
from mindspore.ops.function.nn_func import inplace_relu_op as inplace_relu_op_1
from mindspore.ops.function.nn_func import relu_op as relu_op_1
from mindspore.train.amp import amp_cast

def relu_opt(input, inplace=False):
    if inplace:
        inplace_relu_op_var = inplace_relu_op_1(input)
        return inplace_relu_op_var
    input = amp_cast(input, mindspore.float16)
    relu_op_var = relu_op_1(input)
    relu_op_var = amp_cast(relu_op_var, mindspore.float32)
    return relu_op_var
#
sys.path.insert(0, '/work/main/dfcnn_ms/models')
from typing import Any

def convolved(length, kernel, stride, pad_mode, padding) -> Any:
    compare_var_1 = pad_mode == 'same'
    if compare_var_1:
        add_var_2 = length + stride
        sub_var_1 = add_var_2 - 1
        floordiv_var_1 = sub_var_1 // stride
        return floordiv_var_1
    margin = 2 * padding if pad_mode == 'pad' else 0
    add_var_1 = length + margin
    sub_var = add_var_1 - kernel
    floordiv_var = sub_var // stride
    add_var = floordiv_var + 1
    return add_var
#
sys.path.insert(0, '/work/main/dfcnn_ms/models')
from mindspore import Tensor, ops

def silence_after(x, lengths) -> Tensor:
    usub_var_1 = -1
    reshape_var_1 = lengths.reshape(usub_var_1, 1, 1, 1)
    usub_var = -1
    subscript_var = x.shape[2]
    arange_var = ops.arange(subscript_var)
    reshape_var = arange_var.reshape(1, 1, usub_var, 1)
    inside = reshape_var < reshape_var_1
    astype_var = inside.astype(x.dtype)
    mult_var = x * astype_var
    return mult_var
#
sys.path.insert(0, '/tmp/dev/lib/python3.11/site-packages/mindspore/nn/layer')
from mindspore.nn.layer.conv import _Conv

class _ConvOpt(_Conv, Cell):

    def __init__(self):
        Cell.__init__(self)
        for key, value in _Conv.__dict__.items():
            if not key.startswith('__'):
                setattr(_ConvOpt, key, value)
#
sys.path.insert(0, '/tmp/dev/lib/python3.11/site-packages/mindspore/nn/layer')
from mindspore.nn.layer.conv import Conv2d

class Conv2dOpt_3(Conv2d, _ConvOpt):

    def __init__(self, obj):
        _ConvOpt.__init__(self)
        for key, value in obj.__dict__.items():
            setattr(self, key, value)

    def construct(self, x):
        x = amp_cast(x, mindspore.float16)
        weight_var = amp_cast(self.weight, mindspore.float16)
        output = self.conv2d(x, weight_var)
        output = amp_cast(output, mindspore.float32)
        if self.has_bias:
            output_var = amp_cast(output, mindspore.float16)
            bias_var = amp_cast(self.bias, mindspore.float16)
            output = self.bias_add(output_var, bias_var)
            output = amp_cast(output, mindspore.float32)
        return output
#
sys.path.insert(0, '/tmp/dev/lib/python3.11/site-packages/mindspore/nn/layer')
from mindspore.nn.layer.activation import ReLU

class ReLUOpt(ReLU, Cell):

    def __init__(self, obj):
        Cell.__init__(self)
        for key, value in obj.__dict__.items():
            setattr(self, key, value)

    def construct(self, input):
        input = amp_cast(input, mindspore.float16)
        relu_var = self.relu(input)
        relu_var = amp_cast(relu_var, mindspore.float32)
        return relu_var
#
sys.path.insert(0, '/tmp/dev/lib/python3.11/site-packages/mindspore/nn/layer')

class Conv2dOpt_2(Conv2d, _ConvOpt):

    def __init__(self, obj):
        _ConvOpt.__init__(self)
        for key, value in obj.__dict__.items():
            setattr(self, key, value)

    def construct(self, x):
        x = amp_cast(x, mindspore.float16)
        weight_var = amp_cast(self.weight, mindspore.float16)
        output = self.conv2d(x, weight_var)
        output = amp_cast(output, mindspore.float32)
        if self.has_bias:
            output_var = amp_cast(output, mindspore.float16)
            bias_var = amp_cast(self.bias, mindspore.float16)
            output = self.bias_add(output_var, bias_var)
            output = amp_cast(output, mindspore.float32)
        return output
#
sys.path.insert(0, '/tmp/dev/lib/python3.11/site-packages/mindspore/nn/layer')

class Conv2dOpt_1(Conv2d, _ConvOpt):

    def __init__(self, obj):
        _ConvOpt.__init__(self)
        for key, value in obj.__dict__.items():
            setattr(self, key, value)

    def construct(self, x):
        x = amp_cast(x, mindspore.float16)
        weight_var = amp_cast(self.weight, mindspore.float16)
        output = self.conv2d(x, weight_var)
        output = amp_cast(output, mindspore.float32)
        if self.has_bias:
            output_var = amp_cast(output, mindspore.float16)
            bias_var = amp_cast(self.bias, mindspore.float16)
            output = self.bias_add(output_var, bias_var)
            output = amp_cast(output, mindspore.float32)
        return output
#
sys.path.insert(0, '/work/main/dfcnn_ms/models')
from mindspore import Tensor, nn
from dfcnn_ms.models.dfcnn import ConvNormRelu

class ConvNormReluOpt_1(ConvNormRelu, nn.Cell):

    def __init__(self, obj) -> None:
        nn.Cell.__init__(self)
        for key, value in obj.__dict__.items():
            setattr(self, key, value)
        self.conv = Conv2dOpt_1(self.conv)
        self.norm = BatchNorm2dOpt_2(self.norm)

    def construct(self, x, lengths=None) -> tuple[Tensor, Tensor | None]:
        compare_var = lengths is not None
        if compare_var:
            x = silence_after(x, lengths)
            lengths = convolved(lengths, *self.arithmetic)
        conv_var = self.conv(x)
        norm_var = self.norm(conv_var)
        relu_var = relu_opt(norm_var)
        tuple_var = (relu_var, lengths)
        return tuple_var
#
sys.path.insert(0, '/work/main/dfcnn_ms/models')
from dfcnn_ms.models.dfcnn import ConvBlock

class ConvBlockOpt_1(ConvBlock, nn.Cell):

    def __init__(self, obj) -> None:
        nn.Cell.__init__(self)
        for key, value in obj.__dict__.items():
            setattr(self, key, value)
        self.convs[0] = ConvNormReluOpt_1(self.convs[0])
        self.pool = MaxPool2dOpt(self.pool)
        self.dropout = IdentityOpt(self.dropout)

    def construct(self, x, lengths=None) -> tuple[Tensor, Tensor | None]:
        self_convs = self.convs
        for conv in self_convs:
            x, lengths = conv(x, lengths)
        pool_var = self.pool(x)
        x = self.dropout(pool_var)
        ifexp_var = lengths if lengths is None else lengths // self.time_pool
        tuple_var = (x, ifexp_var)
        return tuple_var
#
sys.path.insert(0, '/tmp/dev/lib/python3.11/site-packages/mindspore/nn/layer')

class Conv2dOpt(Conv2d, _ConvOpt):

    def __init__(self, obj):
        _ConvOpt.__init__(self)
        for key, value in obj.__dict__.items():
            setattr(self, key, value)

    def construct(self, x):
        x = amp_cast(x, mindspore.float16)
        weight_var = amp_cast(self.weight, mindspore.float16)
        output = self.conv2d(x, weight_var)
        output = amp_cast(output, mindspore.float32)
        if self.has_bias:
            output_var = amp_cast(output, mindspore.float16)
            bias_var = amp_cast(self.bias, mindspore.float16)
            output = self.bias_add(output_var, bias_var)
            output = amp_cast(output, mindspore.float32)
        return output
#
sys.path.insert(0, '/work/main/dfcnn_ms/models')

class ConvNormReluOpt(ConvNormRelu, nn.Cell):

    def __init__(self, obj) -> None:
        nn.Cell.__init__(self)
        for key, value in obj.__dict__.items():
            setattr(self, key, value)
        self.conv = Conv2dOpt(self.conv)
        self.norm = BatchNorm2dOpt_2(self.norm)

    def construct(self, x, lengths=None) -> tuple[Tensor, Tensor | None]:
        compare_var = lengths is not None
        if compare_var:
            x = silence_after(x, lengths)
            lengths = convolved(lengths, *self.arithmetic)
        conv_var = self.conv(x)
        norm_var = self.norm(conv_var)
        relu_var = relu_opt(norm_var)
        tuple_var = (relu_var, lengths)
        return tuple_var
#
sys.path.insert(0, '/tmp/dev/lib/python3.11/site-packages/mindspore/nn/layer')
from mindspore.nn.layer.basic import Identity

class IdentityOpt(Identity, Cell):

    def __init__(self, obj):
        Cell.__init__(self)
        for key, value in obj.__dict__.items():
            setattr(self, key, value)

    def construct(self, input):
        return input
#
sys.path.insert(0, '/tmp/dev/lib/python3.11/site-packages/mindspore/nn/layer')
from mindspore.nn.layer.pooling import MaxPool2d

class MaxPool2dOpt(MaxPool2d, _PoolNdOpt):

    def __init__(self, obj):
        _PoolNdOpt.__init__(self)
        for key, value in obj.__dict__.items():
            setattr(self, key, value)

    def construct(self, x):
        expand_batch = False
        compare_var = x.ndim == 3
        if compare_var:
            x = x.unsqueeze(0)
            expand_batch = True
        if self.use_pad:
            x = x.unsqueeze(2)
            out = self.max_pool(x)
            isinstance_var = isinstance(out, tuple)
            if isinstance_var:
                subscript_var_1 = out[1]
                squeeze_var_1 = subscript_var_1.squeeze(2)
                subscript_var = out[0]
                squeeze_var = subscript_var.squeeze(2)
                out = (squeeze_var, squeeze_var_1)
            else:
                out = out.squeeze(2)
        else:
            out = self.max_pool(x)
        if expand_batch:
            isinstance_var_1 = isinstance(out, tuple)
            if isinstance_var_1:
                subscript_var_3 = out[1]
                squeeze_var_3 = subscript_var_3.squeeze(0)
                subscript_var_2 = out[0]
                squeeze_var_2 = subscript_var_2.squeeze(0)
                out = (squeeze_var_2, squeeze_var_3)
            else:
                out = out.squeeze(0)
        and_var = self.use_pad and (not self.return_indices)
        if and_var:
            subscript_var_4 = out[0]
            return subscript_var_4
        return out
#
sys.path.insert(0, '/work/main/dfcnn_ms/models')

class ConvBlockOpt(ConvBlock, nn.Cell):

    def __init__(self, obj) -> None:
        nn.Cell.__init__(self)
        for key, value in obj.__dict__.items():
            setattr(self, key, value)
        self.convs[0] = ConvNormReluOpt(self.convs[0])
        self.pool = MaxPool2dOpt(self.pool)
        self.dropout = IdentityOpt(self.dropout)

    def construct(self, x, lengths=None) -> tuple[Tensor, Tensor | None]:
        self_convs = self.convs
        for conv in self_convs:
            x, lengths = conv(x, lengths)
        pool_var = self.pool(x)
        x = self.dropout(pool_var)
        ifexp_var = lengths if lengths is None else lengths // self.time_pool
        tuple_var = (x, ifexp_var)
        return tuple_var
#
sys.path.insert(0, '/tmp/dev/lib/python3.11/site-packages/mindspore/nn/layer')
from mindspore.ops.primitive import _primexpr
from mindspore.nn.layer.normalization import BatchNorm2d

class BatchNorm2dOpt_2(BatchNorm2d, _BatchNormOpt):

    def __init__(self, obj):
        _BatchNormOpt.__init__(self)
        for key, value in obj.__dict__.items():
            setattr(self, key, value)
        self._check_input_dim = obj.__class__._check_input_dim

    @staticmethod
    @_primexpr
    def _check_input_dim(shape, cls_name):
        dim = len(shape)
        _check_dim(dim, 4, cls_name)
#
sys.path.insert(0, '/work/main/dfcnn_ms/models')
from dfcnn_ms.models.table import after_blocks
from dfcnn_ms.models.dfcnn import Dfcnn

class DfcnnOpt(Dfcnn, nn.Cell):

    def __init__(self, obj) -> None:
        nn.Cell.__init__(self)
        for key, value in obj.__dict__.items():
            setattr(self, key, value)
        self.blocks[0] = ConvBlockOpt(self.blocks[0])
        self.blocks[1] = ConvBlockOpt_1(self.blocks[1])
        self.norm = BatchNorm2dOpt_2(self.norm)
        self.head[0] = Conv2dOpt_2(self.head[0])
        self.head[1] = ReLUOpt(self.head[1])
        self.head[2] = Conv2dOpt_3(self.head[2])

    def output_lengths(self, lengths) -> Any:
        """Output steps U for T frames: ints, NumPy arrays and tensors alike; below 1 means too short for one step."""
        blocks, pad_mode, padding = self.table
        return after_blocks(lengths, blocks, 0, pad_mode, padding)

    def output_bins(self, num_bins) -> int:
        """Frequency bins left for the dense layers."""
        blocks, pad_mode, padding = self.table
        return int(after_blocks(num_bins, blocks, 1, pad_mode, padding))

    def construct(self, features, lengths=None) -> Tensor:
        x = features
        self_blocks = self.blocks
        for block in self_blocks:
            x, lengths = block(x, lengths)
        norm_var = self.norm(x)
        x = self.head(norm_var)
        squeeze_var = x.squeeze(3)
        swapaxes_var = squeeze_var.swapaxes(1, 2)
        return swapaxes_var
#