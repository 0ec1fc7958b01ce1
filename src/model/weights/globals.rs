//! The names that a pickle of a state dict may use; every other one is refused.

use tch::Kind;

use super::WeightsError;

/// What a pickle may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Global {
    /// `collections.OrderedDict` and its kin.
    Dict,
    /// `torch.FloatStorage`, …: the element type of a storage.
    StorageType(Kind),
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`.
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`: its first argument is the tensor.
    RebuildParameter,
    /// `torch._tensor._rebuild_from_type_v2(function, type, arguments, state)`.
    RebuildFromType,
    /// Harmless data whose value is not needed.
    Opaque,
}

/// Looks `module.name` up.
///
/// # Errors
/// [`WeightsError::Global`] for everything that is not on the list.
pub fn global(module: &str, name: &str) -> Result<Global, WeightsError> {
    let storage = |kind| Ok(Global::StorageType(kind));
    match (module, name) {
        ("collections", "OrderedDict" | "defaultdict") => Ok(Global::Dict),
        ("torch", "FloatStorage") => storage(Kind::Float),
        ("torch", "DoubleStorage") => storage(Kind::Double),
        ("torch", "HalfStorage") => storage(Kind::Half),
        ("torch", "BFloat16Storage") => storage(Kind::BFloat16),
        ("torch", "LongStorage") => storage(Kind::Int64),
        ("torch", "IntStorage") => storage(Kind::Int),
        ("torch", "ShortStorage") => storage(Kind::Int16),
        ("torch", "CharStorage") => storage(Kind::Int8),
        ("torch", "ByteStorage") => storage(Kind::Uint8),
        ("torch", "BoolStorage") => storage(Kind::Bool),
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Ok(Global::RebuildTensor),
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Ok(Global::RebuildParameter),
        ("torch._tensor", "_rebuild_from_type_v2") => Ok(Global::RebuildFromType),
        // Epochs, losses and optimiser options that trainers keep beside the state dict.
        (
            "torch",
            "Size" | "device" | "float16" | "float32" | "float64" | "bfloat16" | "int64" | "int32" | "uint8" | "bool"
            | "Tensor",
        )
        | ("torch.nn.parameter", "Parameter")
        | ("numpy", "dtype" | "ndarray" | "float32" | "float64" | "int64")
        | ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar" | "_reconstruct")
        | ("builtins" | "__builtin__", "set" | "frozenset" | "complex" | "bytearray")
        | ("collections", "Counter")
        | ("_codecs", "encode")
        | ("argparse", "Namespace")
        | ("pathlib", "PosixPath" | "WindowsPath" | "PurePosixPath" | "PureWindowsPath") => Ok(Global::Opaque),
        _ => Err(WeightsError::Global(format!("{module}.{name}"))),
    }
}
