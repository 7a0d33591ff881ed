"""Camera motion from flow fields that are made by formula."""

import numpy as np

from pipeline.arrays import Array
from stages.detect.camera import camera_motions, fit_camera


def affine_flow(matrix: Array, height: int = 112, width: int = 199) -> Array:
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    return (np.stack([x, y, np.ones_like(x)], -1) @ matrix.T).astype(np.float32)


PAN_AND_ZOOM = np.array([[0.2, -0.05, 0.3], [0.05, 0.1, -0.1]])


def test_pan_zoom_and_rotation_are_recovered() -> None:
    camera = fit_camera(affine_flow(PAN_AND_ZOOM))
    assert np.allclose(camera.matrix, PAN_AND_ZOOM, atol=1e-4)
    assert np.allclose(camera.field(112, 199), affine_flow(PAN_AND_ZOOM), atol=1e-3)


def test_an_object_over_a_third_of_the_picture_does_not_disturb_the_fit() -> None:
    flow = affine_flow(PAN_AND_ZOOM)
    flow[:, :66] = [1.5, 0.5]
    assert np.allclose(fit_camera(flow).matrix, PAN_AND_ZOOM, atol=0.02)


def test_a_still_scene_is_found_behind_an_object_that_fills_most_of_the_picture() -> None:
    flow = np.zeros((112, 199, 2), np.float32)
    random = np.random.default_rng(0)
    flow[:, :140] = affine_flow(np.array([[0.3, 0, 0.4], [0, 0.3, 0.0]]), 112, 140)
    flow[:, :140] += random.normal(0, 0.05, (112, 140, 2))
    assert fit_camera(flow).speed < 0.01


def test_speed_is_the_root_mean_square_of_the_field() -> None:
    camera = fit_camera(affine_flow(PAN_AND_ZOOM))
    field = camera.field(400, 400)
    assert np.isclose(camera.speed, np.sqrt((field**2).sum(-1).mean()), rtol=0.01)


def test_a_camera_that_hardly_moves_is_at_rest_and_a_cut_has_no_motion() -> None:
    nearly = affine_flow(np.array([[0, 0, 0.004], [0, 0, 0]]))
    pan = affine_flow(np.array([[0, 0, 0.3], [0, 0, 0]]))
    motions = camera_motions(np.stack([nearly, nearly, np.zeros_like(nearly), pan]).astype(np.float16))
    assert [motion and round(motion.speed, 2) for motion in motions] == [0, 0, None, 0.3]


def test_noise_is_the_spread_around_the_motion() -> None:
    random = np.random.default_rng(0)
    flow = affine_flow(PAN_AND_ZOOM) + random.normal(0, 0.05, (112, 199, 2)).astype(np.float32)
    assert 0.05 < fit_camera(flow).noise < 0.12


def test_pictures_of_one_pixel_work() -> None:
    assert np.isfinite(fit_camera(np.ones((1, 1, 2), np.float32)).matrix).all()
