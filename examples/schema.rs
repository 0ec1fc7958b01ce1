fn main() {
    println!("{}", serde_json::to_string_pretty(&orthanc_ai::manifest::Manifest::json_schema()).unwrap());
}
