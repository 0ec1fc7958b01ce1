//! The networks, each with the key names of its reference implementation.

pub mod conv_bn;
mod dense_head;
mod grad_cam;
mod one_dnn;
pub mod resnet50;
pub mod swin_unetr;
pub mod tensor;
pub mod torch_script;
pub mod unet;
