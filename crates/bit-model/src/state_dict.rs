//! Parameters by transformers' names: reading them out of a model and putting them in.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, Device, Tensor, TensorData};

/// A parameter of a model, not yet read from its device.
pub struct NamedParameter {
    /// What Burn calls it, for as long as the module lives.
    pub id: ParamId,
    /// Its path in the module, which is transformers' name.
    pub name: String,
    /// Its dimensions, in torch's order.
    pub shape: Vec<usize>,
    /// Its element type.
    pub dtype: DType,
    read: Box<dyn FnOnce() -> TensorData>,
}

impl NamedParameter {
    /// Copies the values from the device.
    pub fn into_data(self) -> TensorData {
        (self.read)()
    }
}

/// All parameters of a module, in the order of its fields.
///
/// ```
/// use bit_config::BitConfig;
/// use bit_model::{BitModel, named_parameters};
/// use burn::tensor::Device;
///
/// let model = BitModel::new(&BitConfig::default(), &Device::flex())?;
/// let parameters = named_parameters(&model);
/// assert_eq!(parameters[0].name, "embedder.convolution.weight");
/// assert_eq!(parameters[0].shape, [64, 3, 7, 7]);
/// # Ok::<(), bit_model::ModelError>(())
/// ```
pub fn named_parameters<M: Module>(module: &M) -> Vec<NamedParameter> {
    let mut collector = Collector::default();
    module.visit(&mut collector);
    collector.parameters
}

/// Replaces parameters by what `load` gives for their name and shape; `None` leaves one as it is.
///
/// Nothing is initialized on the way, so a model that is loaded completely never draws random weights.
///
/// # Panics
///
/// When `load` gives data of another shape than it was asked for.
pub fn load_parameters<M: Module>(
    module: M,
    dtype: DType,
    load: impl FnMut(&str, &[usize]) -> Option<TensorData>,
) -> M {
    module.map(&mut Loader {
        path: Path::default(),
        dtype,
        load,
    })
}

/// Converts every parameter to another floating-point type, such as f16 on a device that computes in it.
pub fn cast_parameters<M: Module>(module: M, dtype: DType) -> M {
    struct Caster(DType);
    impl ModuleMapper for Caster {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| tensor.cast(burn::tensor::FloatDType::from(self.0)))
        }
    }
    module.map(&mut Caster(dtype))
}

/// The names on the way from the root to a parameter. Variants of enums have none in torch.
#[derive(Default)]
struct Path(Vec<Option<String>>);

impl Path {
    fn enter(&mut self, name: &str, container: &str) {
        self.0
            .push((!container.starts_with("Enum:")).then(|| name.to_owned()));
    }

    fn exit(&mut self) {
        self.0.pop();
    }

    fn name(&self) -> String {
        self.0
            .iter()
            .flatten()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(".")
    }
}

#[derive(Default)]
struct Collector {
    path: Path,
    parameters: Vec<NamedParameter>,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        self.parameters.push(NamedParameter {
            id: param.id,
            name: self.path.name(),
            shape: tensor.dims().to_vec(),
            dtype: tensor.dtype(),
            read: Box::new(move || tensor.into_data()),
        });
    }
}

struct Loader<F> {
    path: Path,
    dtype: DType,
    load: F,
}

impl<F: FnMut(&str, &[usize]) -> Option<TensorData>> ModuleMapper for Loader<F> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match (self.load)(&self.path.name(), param.lazy_shape().as_slice()) {
            Some(data) => {
                let device: Device = param.lazy_device();
                let tensor = Tensor::from_data(data, (&device, self.dtype));
                let id = param.id;
                param.transform_for_load(tensor, id)
            }
            None => param,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bit_config::{BitConfig, LayerType};

    use super::*;
    use crate::{BitForImageClassification, BitModel};

    fn config(layer_type: LayerType) -> BitConfig {
        let small = BitConfig {
            hidden_sizes: vec![32, 64],
            depths: vec![2, 1],
            ..BitConfig::default()
        };
        BitConfig {
            num_groups: 4,
            layer_type,
            ..small
        }
        .with_num_labels(3)
    }

    #[test]
    fn names_and_shapes_are_those_of_transformers_for_both_layer_types() {
        for layer_type in [LayerType::Preactivation, LayerType::Bottleneck] {
            let config = config(layer_type);
            let model = BitForImageClassification::new(&config, &Device::flex()).unwrap();
            let found = named_parameters(&model).into_iter().map(|p| (p.name, p.shape));
            let mut found: Vec<_> = found.collect();
            let mut expected: Vec<_> = config
                .parameters()
                .into_iter()
                .map(|p| (p.name, p.shape))
                .collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn loading_replaces_what_is_given_and_keeps_the_rest() {
        let device = Device::flex();
        let model = BitModel::new(&config(LayerType::Preactivation), &device).unwrap();
        let model = load_parameters(model, DType::F32, |name, shape| {
            (name == "norm.bias").then(|| TensorData::full(shape.to_vec(), 2.5f32))
        });
        for parameter in named_parameters(&model) {
            let expected = match parameter.name.as_str() {
                "norm.bias" => 2.5,
                name if name.ends_with("bias") => 0.0,
                name if name.contains("norm") => 1.0,
                _ => continue,
            };
            let data = parameter.into_data();
            assert!(data.iter::<f32>().all(|value| value == expected));
        }
    }

    #[test]
    fn a_model_for_inference_computes_the_same_and_gives_its_parameters_back() {
        let device = Device::flex();
        let values = |model: &BitModel| {
            let parameters = named_parameters(model).into_iter();
            parameters
                .map(|parameter| (parameter.name.clone(), parameter.into_data()))
                .collect::<Vec<_>>()
        };
        for layer_type in [LayerType::Preactivation, LayerType::Bottleneck] {
            let model = BitModel::new(&config(layer_type), &device).unwrap();
            let x = Tensor::<4>::ones([1, 3, 32, 32], &device);
            let output = |model: &BitModel| model.forward(x.clone()).unwrap().last_hidden_state.into_data();
            let (expected, parameters) = (output(&model), values(&model));
            let model = model.for_inference();
            assert_eq!(output(&model), expected);
            for ((name, found), (_, expected)) in values(&model).into_iter().zip(parameters) {
                assert_eq!(found.shape(), expected.shape(), "{name}");
                let largest = expected.iter::<f32>().fold(0.0, |most: f32, x| most.max(x.abs()));
                let mut pairs = found.iter::<f32>().zip(expected.iter::<f32>());
                assert!(
                    pairs.all(|(found, expected)| (found - expected).abs() <= 1e-6 * largest),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn loading_a_weight_changes_what_inference_computes() {
        let device = Device::flex();
        let model = BitModel::new(&config(LayerType::Preactivation), &device).unwrap();
        let x = Tensor::<4>::ones([1, 3, 32, 32], &device);
        let before = model.forward(x.clone()).unwrap().last_hidden_state.into_data();
        let model = load_parameters(model, DType::F32, |name, shape| {
            let count = shape.iter().product::<usize>();
            let values: Vec<f32> = (0..count).map(|i| (i as f32).sin()).collect();
            (name == "embedder.convolution.weight").then(|| TensorData::new(values, shape.to_vec()))
        });
        let after = model.forward(x).unwrap().last_hidden_state.into_data();
        assert_ne!(
            before.try_to_vec::<f32>().unwrap(),
            after.try_to_vec::<f32>().unwrap()
        );
    }
}
