//! The engine on models small enough to know the answer.

use ocellus::format::ops::{Add, Binary, Concat, Lookup, OpCode, OutputS8};
use ocellus::format::{AlignedBytes, FormatError, Info, Isa, QParams, Scratch, Writer};
use ocellus::kernels::Reference;
use ocellus::{Engine, Hook, LoadError, Model, OpTable, Written, op_table};

mod sample;

const Q: QParams = QParams {
    scale: 0.5,
    zero_point: -1,
};

/// `y = concat(-(a + b), a + b)` for four values each; the sum replaces `a`.
fn negated_sum() -> AlignedBytes {
    let mut writer = Writer::new(Isa::Reference);
    let [a, sum] = ["a", "sum"].map(|name| writer.activation(name, &[4], Q, 0).unwrap());
    let b = writer.activation("b", &[4], Q, 16).unwrap();
    let negated = writer.activation("negated", &[4], Q, 32).unwrap();
    let joined = writer.activation("joined", &[2, 4], Q, 48).unwrap();
    let table: Vec<i8> = (0..256).map(|i| (128 - i).min(127) as i8).collect();
    let table = writer.constant("table", &[256], None, &table).unwrap();
    let add = Add {
        binary: Binary::flat([1, 1, 1, 4]),
        zero_point_a: 0,
        zero_point_b: 0,
        multiplier_a: 2,
        multiplier_b: 2,
        shift: 1,
        output: OutputS8::unclamped(0),
    };
    writer
        .operator("add", &add, &[a, b], &[sum], Scratch::default())
        .unwrap();
    writer
        .operator(
            "negate",
            &Lookup { len: 4 },
            &[sum, table],
            &[negated],
            Scratch::default(),
        )
        .unwrap();
    writer
        .operator(
            "join",
            &Concat { outer: 1 },
            &[negated, sum],
            &[joined],
            Scratch::default(),
        )
        .unwrap();
    let file = writer
        .finish("main", &[a, b], &[joined], Info::default(), None)
        .unwrap();
    AlignedBytes::from(file.as_slice())
}

#[derive(Default)]
struct Trace(Vec<(u16, OpCode, Vec<i8>)>);

impl Hook for Trace {
    fn after(&mut self, index: u16, code: OpCode, written: Written<'_>) {
        self.0
            .push((index, code, written.get(0).unwrap().values.to_vec()));
    }
}

#[test]
fn runs_in_place_and_lets_every_tensor_be_tapped() {
    let file = negated_sum();
    let model = Model::load(&file, &op_table![add, lookup, concat]).unwrap();
    let mut arena = AlignedBytes::from([0x55; 64].as_slice());
    let mut engine = Engine::new(model, Reference, &mut arena).unwrap();
    for _ in 0..2 {
        engine
            .input(0)
            .unwrap()
            .values
            .copy_from_slice(&[1, 2, 3, 100]);
        engine
            .input(1)
            .unwrap()
            .values
            .copy_from_slice(&[10, 20, 30, 100]);
        let mut trace = Trace::default();
        engine.run(&mut trace).unwrap();
        let expected = [
            (0, OpCode::Add, vec![11, 22, 33, 127]),
            (1, OpCode::Lookup, vec![-11, -22, -33, -127]),
            (
                2,
                OpCode::Concat,
                vec![-11, -22, -33, -127, 11, 22, 33, 127],
            ),
        ];
        assert_eq!(trace.0, expected);
        assert_eq!(engine.output(0).unwrap().values, expected[2].2);
    }
    let output = engine.output(0).unwrap();
    assert_eq!(output.qparams(), Q);
    assert_eq!(output.info.shape(), [2, 4]);
    assert_eq!(output.dequantized().next(), Some(-5.0));
    assert!(engine.output(1).is_none() && engine.input(2).is_none());
}

#[test]
fn an_arena_one_byte_short_is_refused() {
    let file = negated_sum();
    let model = Model::load(&file, &OpTable::ALL).unwrap();
    let mut arena = AlignedBytes::from([0; 80].as_slice());
    assert_eq!(model.arena_bytes(), 64);
    let error = Engine::new(model, Reference, &mut arena[..63]).unwrap_err();
    assert_eq!(
        error,
        LoadError::ArenaTooSmall {
            needed_bytes: 64,
            given_bytes: 63
        }
    );
    // Off its alignment an arena gives up the bytes before the next multiple of 16.
    let error = Engine::new(model, Reference, &mut arena[1..79]).unwrap_err();
    assert_eq!(
        error,
        LoadError::ArenaTooSmall {
            needed_bytes: 79,
            given_bytes: 78
        }
    );
    assert!(Engine::new(model, Reference, &mut arena[1..]).is_ok());
}

#[test]
fn a_memory_for_each_part_gives_the_bytes_of_one_for_all() {
    let run = |engine: &mut Engine<'_, '_, Reference>| {
        let input = engine.input(0).unwrap();
        let values = input.values.iter_mut().zip(0_u8..);
        values.for_each(|(value, i)| *value = i.wrapping_mul(73) as i8);
        let mut trace = Trace::default();
        engine.run(&mut trace).unwrap();
        let outputs = [0, 1].map(|position| engine.output(position).unwrap().values.to_vec());
        (trace.0, outputs)
    };
    let plain = AlignedBytes::from(sample::every_operator().as_slice());
    let model = Model::load(&plain, &OpTable::ALL).unwrap();
    let mut arena = vec![0; model.arena_bytes() + 15];
    let expected = run(&mut Engine::new(model, Reference, &mut arena).unwrap());

    let file = AlignedBytes::from(sample::every_operator_in_parts().as_slice());
    let model = Model::load(&file, &OpTable::ALL).unwrap();
    assert_eq!(model.view().parts().count(), 3);
    assert_eq!(
        run(&mut Engine::new(model, Reference, &mut arena).unwrap()),
        expected
    );
    let mut memories = model
        .view()
        .parts()
        .iter()
        .map(|part| vec![0x55; part.len() + 15]);
    let [mut one, mut two, mut three] = [(); 3].map(|()| memories.next().unwrap());
    // In another order in memory than in the file, which must not matter.
    let memories = [three.as_mut_slice(), one.as_mut_slice(), two.as_mut_slice()];
    let refused = Engine::in_parts(model, Reference, {
        let [three, one, two] = memories;
        [one, two, &mut three[..16], &mut []]
    });
    assert!(
        matches!(
            refused,
            Err(LoadError::ArenaTooSmall {
                given_bytes: 16,
                ..
            })
        ),
        "{refused:?}"
    );
    let mut engine =
        Engine::in_parts(model, Reference, [&mut one, &mut two, &mut three, &mut []]).unwrap();
    assert_eq!(run(&mut engine), expected);
    let refused = Engine::in_parts(model, Reference, Default::default());
    assert!(
        matches!(
            refused,
            Err(LoadError::ArenaTooSmall { given_bytes: 0, .. })
        ),
        "{refused:?}"
    );
}

#[test]
fn an_operator_that_is_not_linked_is_named() {
    let file = negated_sum();
    let error = Model::<Reference>::load(&file, &op_table![add, concat]).unwrap_err();
    assert_eq!(
        error,
        LoadError::OpNotLinked {
            index: 1,
            code: OpCode::Lookup
        }
    );
    assert!(error.to_string().contains("`lookup`"));
}

#[test]
fn bytes_that_are_no_model_are_refused() {
    let text = AlignedBytes::from([b'x'; 100].as_slice());
    let error = Model::<Reference>::load(&text, &OpTable::ALL).unwrap_err();
    assert_eq!(error, LoadError::Format(FormatError::Magic));
}

#[test]
fn every_operator_runs_alike_on_every_instruction_set_of_this_machine() {
    use ocellus::kernels::{Kernels, WithKernels, dispatch};

    struct Run<'a>(&'a [u8]);
    impl WithKernels for Run<'_> {
        type Output = Vec<Vec<i8>>;

        fn run<K: Kernels>(self, kernels: K) -> Self::Output {
            let model = Model::load(self.0, &OpTable::ALL).unwrap();
            let mut arena = vec![0; model.arena_bytes() + 15];
            let mut engine = Engine::new(model, kernels, &mut arena).unwrap();
            let input = engine.input(0).unwrap();
            input
                .values
                .iter_mut()
                .zip(0_u8..)
                .for_each(|(value, i)| *value = i.wrapping_mul(73) as i8);
            let mut trace = Trace::default();
            engine.run(&mut trace).unwrap();
            trace.0.into_iter().map(|(_, _, values)| values).collect()
        }
    }

    let file = AlignedBytes::from(sample::every_operator().as_slice());
    let reference = dispatch(Isa::Reference, Run(&file)).unwrap();
    assert_eq!(reference.len(), OpCode::ALL.len());
    let varied = reference
        .iter()
        .filter(|values| values.iter().any(|value| value != &values[0]))
        .count();
    assert_eq!(
        varied,
        reference.len(),
        "a constant tensor compares nothing"
    );
    for isa in Isa::ALL {
        if let Some(outputs) = dispatch(isa, Run(&file)) {
            assert_eq!(outputs, reference, "{}", isa.name());
        }
    }
}
