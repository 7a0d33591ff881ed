"""Published data sets in miniature: the real names, folders and lists, with files that are not playable."""

from pathlib import Path


def put(folder: Path, *names: str) -> Path:
    """Write files whose content is their own name, so that no two are copies. Returns the folder."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def ucf101(root: Path, lists_outside: bool = False) -> Path:
    """Returns the folder that a user would give."""
    videos = root / "UCF-101"
    put(
        videos,
        *("ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi", "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi"),
        *("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c02.avi", "YoYo/v_YoYo_g01_c01.avi", "YoYo/v_YoYo_g09_c03.avi"),
        # the folder and the list have Handstand, the files HandStand
        *("HandstandPushups/v_HandStandPushups_g01_c01.avi", "HandstandPushups/v_HandStandPushups_g10_c01.avi"),
    )
    lists = root / "ucfTrainTestlist"
    write(lists / "classInd.txt", "1 ApplyEyeMakeup", "37 HandstandPushups", "101 YoYo")
    write(
        lists / "trainlist01.txt",
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1",
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c02.avi 1",
        "HandstandPushups/v_HandStandPushups_g10_c01.avi 37",
        "YoYo/v_YoYo_g09_c03.avi 101",
    )
    write(
        lists / "testlist01.txt",
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi",
        "HandstandPushups/v_HandstandPushups_g01_c01.avi",
        "YoYo/v_YoYo_g01_c01.avi",
        "YoYo/v_YoYo_g01_c02.avi",
    )
    write(lists / "trainlist02.txt", "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi 1")
    write(lists / "testlist02.txt", "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi", "YoYo/v_YoYo_g09_c03.avi")
    return videos if lists_outside else root


def hmdb51(root: Path) -> Path:
    put(
        root,
        *(
            "brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi",
            "brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_1.avi",
        ),
        *(
            "brush_hair/Haarek_mmen_brush_hair_h_cm_np1_fr_goo_0.avi",
            "wave/20060723sfjffbartsinger_wave_f_cm_np1_ba_med_0.avi",
        ),
    )
    lists = root / "testTrainMulti_7030_splits"
    write(
        lists / "brush_hair_test_split1.txt",
        "April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1 ",
        "April_09_brush_hair_u_nm_np1_ba_goo_1.avi 0 ",
        "Haarek_mmen_brush_hair_h_cm_np1_fr_goo_0.avi 2 ",
    )
    write(lists / "brush_hair_test_split2.txt", "April_09_brush_hair_u_nm_np1_ba_goo_1.avi 2 ")
    write(lists / "wave_test_split1.txt", "20060723sfjffbartsinger_wave_f_cm_np1_ba_med_0.avi 2 ")
    return root


def kinetics(root: Path) -> Path:
    put(root, "val/0wR5jVB-WPk_000417_000427.mp4", "train/abseiling/-3B32lodo2M_000059_000069.mp4")
    head = "label,youtube_id,time_start,time_end,split"
    write(
        root / "annotations" / "val.csv",
        head,
        "abseiling,0wR5jVB-WPk,417,427,val",
        '"massaging person\'s head",gone_gone_1,5,15,val',
    )
    write(root / "annotations" / "train.csv", head, "abseiling,-3B32lodo2M,59,69,train")
    write(root / "annotations" / "test.csv", "youtube_id,time_start,time_end,split", "abcdefghijk,1,11,test")
    return root


def kinetics_folders(root: Path) -> Path:
    return put(
        root,
        *("train/playing_guitar/-3B32lodo2M_000059_000069.mp4", "val/playing_guitar/0wR5jVB-WPk_000417_000427.mp4"),
        "val/abseiling/aaaaaaaaaaa_000001_000011.mp4",
    )


def vggsound(root: Path) -> Path:
    put(root / "video", "---g-f_I2yQ_000001.mp4", "--0PQM4-hqg_30.mp4", "--56QUhyDQM_185000_195000.mp4")
    write(
        root / "vggsound.csv",
        "---g-f_I2yQ,1,people marching,test",
        "--0PQM4-hqg,30,waterfall burbling,train",
        '--56QUhyDQM,185,"playing tennis",train',
        '--5OkAjCI7g,40,"race car, auto racing",test',
    )
    return root


def esc50(root: Path) -> Path:
    put(root / "audio", "1-100032-A-0.wav", "1-100038-A-14.wav", "2-114280-A-0.wav", "5-9032-A-0.wav")
    write(
        root / "meta" / "esc50.csv",
        "filename,fold,target,category,esc10,src_file,take",
        "1-100032-A-0.wav,1,0,dog,True,100032,A",
        "1-100038-A-14.wav,1,14,chirping_birds,False,100038,A",
        "2-114280-A-0.wav,2,0,dog,True,114280,A",
        "5-9032-A-0.wav,5,0,dog,True,9032,A",
    )
    return root


def ave(root: Path) -> Path:
    put(root / "AVE", "RUhOCu3LNXM.mp4", "2LtAfCPQKQM.mp4", "3hOUxVAvqJ4.mp4")
    entries = ["Church bell&RUhOCu3LNXM&good&0&10", "Male speech, man speaking&2LtAfCPQKQM&good&1&9"]
    entries.append("Bark&3hOUxVAvqJ4&good&2&10")
    write(root / "Annotations.txt", "Category&VideoID&Quality&StartTime&EndTime", *entries)
    for name, entry in zip(("trainSet.txt", "valSet.txt", "testSet.txt"), entries, strict=True):
        write(root / name, entry)
    return root


def folders(root: Path) -> Path:
    return put(root, "dog_barking/a.mp4", "dog_barking/b.wav", "rain/c.ogg", "rain/notes.txt", "rain/.hidden.mp4")
