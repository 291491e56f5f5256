//! The import of .tflite files against LiteRT: a model for each operator, with what LiteRT made of its inputs (`vectors/litert.py`).

mod damage;
mod operators;
mod vectors;
mod whole_models;
