//! The contract's types, generated from `wit/converter.wit`. Nothing is written by hand here;
//! what plugins may use is listed in `lib.rs`.
#![expect(clippy::same_length_and_capacity, reason = "generated code")]

wit_bindgen::generate!({
    path: "../../wit/converter.wit",
    world: "plugin",
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "::plugin_sdk::bindings",
    runtime_path: "::plugin_sdk::rt",
    generate_all,
});
