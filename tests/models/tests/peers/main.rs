//! The import of .tflite files against LiteRT, and of quantized ONNX files against ONNX Runtime: models for each operator, with what the peer made of
//! their inputs (`vectors/litert.py`, `vectors/onnx_runtime.py`).

mod damage;
mod operators;
mod vectors;
mod whole_models;
