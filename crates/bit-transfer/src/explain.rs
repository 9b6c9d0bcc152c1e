//! Which parts of a picture speak for a class: Grad-CAM (Selvaraju et al. 2017, <https://arxiv.org/abs/1610.02391>).

use std::path::Path;

use bit_model::BitForImageClassification;
use burn::tensor::{Tensor, activation};

use crate::TransferError;
use crate::atomic;

/// How much each place of a hidden state speaks for a class.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// `[height, width]`, row-major, in [0, 1]; 1 at the strongest place, all 0 where nothing speaks for the class.
    pub values: Vec<f32>,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// The class that it is about.
    pub class: usize,
    /// The logit of that class.
    pub logit: f32,
}

/// Explains one picture's score for a class, the best one when none is given, by the hidden state of this index: 0 is
/// the stem's, 1 that of `stage1`, and so on.
///
/// A channel counts by the mean of its gradient; what speaks against the class is cut off.
///
/// # Shapes
///
/// - pixel_values: `[1, channels, height, width]`, on the model's device, without gradients
///
/// # Errors
///
/// [`TransferError::Argument`] for another number of pictures and for a class or hidden state that the model does not
/// have, and when the pixels do not fit the model.
pub fn grad_cam(
    model: &BitForImageClassification,
    pixel_values: Tensor<4>,
    hidden_state: usize,
    class: Option<usize>,
) -> Result<HeatMap, TransferError> {
    let [pictures, ..] = pixel_values.dims();
    if pictures != 1 {
        return Err(argument(format!(
            "{pictures} pictures; one is explained at a time"
        )));
    }
    let states = model.bit.hidden_states(pixel_values)?;
    let count = states.len();
    let Some(state) = states.into_iter().nth(hidden_state) else {
        return Err(argument(format!(
            "there is no hidden state {hidden_state}; the model has 0 to {}",
            count - 1
        )));
    };
    let state = state.autodiff().require_grad();
    let logits = model.classify(model.bit.pooled_from(hidden_state, state.clone()));
    let scores: Vec<f32> = logits.clone().into_data().convert::<f32>().iter().collect();
    let class = class.unwrap_or_else(|| best(&scores));
    let Some(logit) = scores.get(class).copied() else {
        return Err(argument(format!(
            "there is no class {class}; the model has {} classes",
            scores.len()
        )));
    };
    let mut gradients = logits.slice([0..1, class..class + 1]).sum().backward();
    let Some(gradient) = state.grad_remove(&mut gradients) else {
        return Err(argument(
            "the class does not depend on the hidden state".to_owned(),
        ));
    };
    let weights = gradient.mean_dim(2).mean_dim(3);
    let map = activation::relu((state.inner() * weights).sum_dim(1));
    let [_, _, height, width] = map.dims();
    let values: Vec<f32> = map.into_data().convert::<f32>().iter().collect();
    let largest = values.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    Ok(HeatMap {
        values: values.into_iter().map(|value| value / largest).collect(),
        height,
        width,
        class,
        logit,
    })
}

fn best(scores: &[f32]) -> usize {
    let order = |a: &usize, b: &usize| scores[*a].total_cmp(&scores[*b]).then(b.cmp(a));
    (0..scores.len()).max_by(order).unwrap_or(0)
}

fn argument(message: String) -> TransferError {
    TransferError::Argument(message)
}

impl HeatMap {
    /// The heat at a point of the picture, both coordinates in [0, 1]: bilinear between the centers of the places.
    pub fn at(&self, y: f32, x: f32) -> f32 {
        let (top, bottom, down) = neighbours(y, self.height);
        let (left, right, over) = neighbours(x, self.width);
        let value =
            |row: usize, column: usize| self.values.get(row * self.width + column).copied().unwrap_or(0.0);
        let row = |row: usize| value(row, left) * (1.0 - over) + value(row, right) * over;
        row(top) * (1.0 - down) + row(bottom) * down
    }

    /// Writes the picture with the heat over it as PNG, enlarged to at least 224 pixels: cold places darkened, hot
    /// ones from blue over yellow to red.
    ///
    /// `rgb` is the picture as the network saw it, `[height, width, 3]`.
    ///
    /// # Errors
    ///
    /// [`TransferError::Argument`] when `rgb` is not of this size, [`TransferError::Io`] when the file cannot be
    /// written.
    pub fn write_png(
        &self,
        rgb: &[u8],
        height: usize,
        width: usize,
        path: &Path,
    ) -> Result<(), TransferError> {
        const SMALLEST: usize = 224;
        if rgb.is_empty() || height.checked_mul(width).and_then(|n| n.checked_mul(3)) != Some(rgb.len()) {
            return Err(argument(format!(
                "{} bytes are no picture of {height}x{width} pixels",
                rgb.len()
            )));
        }
        let scale = SMALLEST.div_ceil(height.min(width)).max(1);
        let (rows, columns) = (height * scale, width * scale);
        let mut pixels = Vec::with_capacity(rows * columns * 3);
        for y in 0..rows {
            for x in 0..columns {
                let heat = self.at((y as f32 + 0.5) / rows as f32, (x as f32 + 0.5) / columns as f32);
                let from = (y / scale * width + x / scale) * 3;
                let color = color(heat);
                pixels.extend((0..3).map(|i| (0.5 * f32::from(rgb[from + i]) + 0.5 * color[i] * heat) as u8));
            }
        }
        atomic::write(path, |file| {
            let mut encoder = png::Encoder::new(file, columns as u32, rows as u32);
            encoder.set_color(png::ColorType::Rgb);
            encoder.write_header()?.write_image_data(&pixels)?;
            Ok(())
        })
    }
}

/// The places before and after a point in [0, 1], and how far it is on the way.
fn neighbours(point: f32, places: usize) -> (usize, usize, f32) {
    let last = places.saturating_sub(1);
    let at = (point * places as f32 - 0.5).clamp(0.0, last as f32);
    let before = at as usize;
    (before, (before + 1).min(last), at - before as f32)
}

/// Blue, cyan, yellow, red.
fn color(heat: f32) -> [f32; 3] {
    const STOPS: [[f32; 3]; 4] = [
        [0.0, 0.0, 255.0],
        [0.0, 220.0, 255.0],
        [255.0, 230.0, 0.0],
        [255.0, 0.0, 0.0],
    ];
    let at = heat.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let before = (at as usize).min(STOPS.len() - 2);
    let share = at - before as f32;
    std::array::from_fn(|i| STOPS[before][i] * (1.0 - share) + STOPS[before + 1][i] * share)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bit_pretrained::{LoadOptions, Pretrained};
    use burn::tensor::{Device, Distribution};

    use super::*;

    fn mnist() -> BitForImageClassification {
        let pretrained = Pretrained::open("builtin:mnist").unwrap();
        pretrained
            .load(LoadOptions::default(), &Device::flex())
            .unwrap()
            .model
    }

    fn pixels() -> Tensor<4> {
        Tensor::random([1, 3, 32, 32], Distribution::Uniform(-1.0, 1.0), &Device::flex())
    }

    #[test]
    fn every_hidden_state_explains_any_class_with_the_networks_own_score() {
        let (model, pixels) = (mnist(), pixels());
        let logits: Vec<f32> = model
            .forward(pixels.clone())
            .unwrap()
            .logits
            .into_data()
            .iter()
            .collect();
        for hidden_state in 0..5 {
            let map = grad_cam(&model, pixels.clone(), hidden_state, Some(7)).unwrap();
            assert!(
                (map.logit - logits[7]).abs() < 1e-3,
                "{} and {}",
                map.logit,
                logits[7]
            );
            assert_eq!(map.values.len(), map.height * map.width);
            assert!(map.values.iter().all(|value| (0.0..=1.0).contains(value)));
        }
        let best_class = grad_cam(&model, pixels, 4, None).unwrap().class;
        assert_eq!(best_class, best(&logits));
    }

    #[test]
    fn heat_is_that_of_torch() {
        // `tests/reference/explain.py`
        let cases: serde_json::Value = serde_json::from_str(include_str!("explain_by_torch.json")).unwrap();
        let values: Vec<f32> = (0..3 * 64 * 64)
            .map(|i| (i * i % 251) as f32 / 125.0 - 1.0)
            .collect();
        let pixels = Tensor::<1>::from_floats(&values[..], &Device::flex()).reshape([1, 3, 64, 64]);
        for case in cases.as_array().unwrap() {
            let number = |key: &str| case[key].as_u64().unwrap() as usize;
            let (state, class) = (number("hidden_state"), number("class"));
            let map = grad_cam(&mnist(), pixels.clone(), state, Some(class)).unwrap();
            let rows = case["values"].as_array().unwrap();
            assert_eq!(rows.len(), map.height);
            let expected: Vec<f64> = rows
                .iter()
                .flat_map(|row| row.as_array().unwrap())
                .map(|value| value.as_f64().unwrap())
                .collect();
            assert_eq!(expected.len(), map.values.len());
            assert!((f64::from(map.logit) - case["logit"].as_f64().unwrap()).abs() < 1e-4);
            for (found, expected) in map.values.iter().zip(expected) {
                assert!(
                    (f64::from(*found) - expected).abs() < 1e-4,
                    "hidden state {state}, class {class}: {found} instead of {expected}"
                );
            }
        }
    }

    #[test]
    fn what_the_model_does_not_have_is_an_error() {
        let model = mnist();
        let message = |state, class| grad_cam(&model, pixels(), state, class).unwrap_err().to_string();
        assert_eq!(
            message(5, None),
            "there is no hidden state 5; the model has 0 to 4"
        );
        assert_eq!(
            message(4, Some(10)),
            "there is no class 10; the model has 10 classes"
        );
    }

    #[test]
    fn heat_is_interpolated_between_the_centers_of_places() {
        let map = HeatMap {
            values: vec![0.0, 1.0],
            height: 1,
            width: 2,
            class: 0,
            logit: 0.0,
        };
        let row = [0.0, 0.25, 0.5, 0.75, 1.0].map(|x| map.at(0.3, x));
        assert_eq!(row, [0.0, 0.0, 0.5, 1.0, 1.0]);
    }

    #[test]
    fn the_picture_is_enlarged_and_hot_places_are_red() {
        let map = HeatMap {
            values: vec![0.0, 1.0],
            height: 1,
            width: 2,
            class: 0,
            logit: 0.0,
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map.png");
        map.write_png(&[100; 12], 2, 2, &path).unwrap();
        let decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(path).unwrap()));
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!((reader.info().width, reader.info().height), (224, 224));
        assert_eq!(
            (&pixels[..3], &pixels[pixels.len() - 3..]),
            (&[50, 50, 50][..], &[177, 50, 50][..])
        );
        assert!(map.write_png(&[100; 12], 2, 3, folder.path()).is_err());
    }
}
