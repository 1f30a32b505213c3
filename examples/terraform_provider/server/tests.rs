//! What the server does for any provider: here one with a resource that does nothing right.

use futures::FutureExt;
use futures::future;

use crate::server::*;
use crate::tfplugin::cty::Type;
use crate::tfplugin::schema::Attribute;
use crate::tfplugin::schema::Block;
use crate::tfplugin::schema::Description;
use crate::tfplugin::schema::Nested;
use crate::tfplugin::schema::Nesting;
use crate::tfplugin::schema::Parameter;
use crate::tfplugin::wire::tfplugin as wire;

/// Reading never ends, and applying fails.
struct Stubborn;

fn attribute(ty: Type) -> Attribute {
    Attribute { optional: true, ..Attribute::new(ty) }
}

fn schema() -> Schema {
    let name = attribute(Type::String);
    let required = Attribute { required: true, optional: false, ..name.clone() };
    let attributes = [("needed".to_owned(), required), ("name".to_owned(), name.clone())];
    let nested = Nested { nesting: Nesting::List, attributes: attributes.into() };
    let inner = Attribute { optional: true, ..Attribute::with_nested(nested) };
    let attributes = [("name".to_owned(), name), ("inner".to_owned(), inner)];
    let block = Block { attributes: attributes.into(), ..Block::default() };
    Schema { version: 0, block }
}

fn problem() -> Problems {
    Diagnostic::error("no", "never").into()
}

#[tonic::async_trait]
impl Configuration for Stubborn {
    fn schema(&self) -> Schema {
        Schema::default()
    }

    fn validate(&self, _: &Value) -> Vec<Diagnostic> {
        Vec::new()
    }

    async fn configure(&self, _: &Value) -> Result<(), Problems> {
        Ok(())
    }
}

#[tonic::async_trait]
impl Resource for Stubborn {
    fn schema(&self) -> Schema {
        schema()
    }

    fn validate(&self, _: &Value) -> Vec<Diagnostic> {
        Vec::new()
    }

    fn upgrade(&self, _: i64, _: Json) -> Result<Value, Problems> {
        Err(problem())
    }

    fn plan(&self, _: Change) -> Result<Plan, Problems> {
        // Not what the schema says.
        Ok(Plan { planned: 1.into(), requires_replace: Vec::new() })
    }

    async fn read(&self, _: Value) -> Result<Value, Problems> {
        std::future::pending().await
    }

    async fn apply(&self, _: Change) -> Result<Value, Problems> {
        Err(problem())
    }

    async fn import(&self, _: &str) -> Result<Value, Problems> {
        Err(problem())
    }
}

/// Takes a number that may be null and any more that may not, and says how many there were.
fn count() -> Callable {
    let number = |allows_null| Parameter {
        name: "number".to_owned(),
        ty: Type::Number,
        allows_null,
        allows_unknown: false,
        description: Description::default(),
    };
    let signature = Function {
        parameters: vec![number(true)],
        variadic: Some(number(false)),
        returns: Type::Number,
        summary: String::new(),
        description: Description::default(),
        deprecation: String::new(),
    };
    let call = |arguments: &[Value]| match i64::try_from(arguments.len()) {
        Ok(count) => Ok(count.into()),
        Err(error) => Err(Fault { text: error.to_string(), argument: None }),
    };
    Callable { signature, call }
}

fn server() -> Server {
    let resource: Box<dyn Resource> = Box::new(Stubborn);
    Server::new(Provider {
        configuration: Box::new(Stubborn),
        resources: BTreeMap::from([("test_thing", resource)]),
        data_sources: BTreeMap::new(),
        functions: BTreeMap::from([("count", count())]),
    })
}

fn dynamic(value: &Value, ty: &Type) -> wire::DynamicValue {
    let msgpack = value.to_msgpack(ty).expect("fits");
    wire::DynamicValue { msgpack: msgpack.into(), ..wire::DynamicValue::default() }
}

fn thing(name: &str) -> wire::DynamicValue {
    let value: Value = [("name", name.into())].into_iter().collect();
    dynamic(&value, &schema().block.implied_type())
}

fn read_request() -> wire::ReadResourceRequest {
    wire::ReadResourceRequest {
        type_name: "test_thing".to_owned(),
        current_state: Some(thing("a")),
        ..wire::ReadResourceRequest::default()
    }
}

fn is_refused(diagnostics: &[wire::Diagnostic], what: &str) -> bool {
    matches!(diagnostics, [one] if one.summary.contains(what))
}

#[tokio::test]
async fn stop_ends_what_runs_and_nothing_that_comes_later() {
    let server = server();
    let reading = server.read(read_request());
    let (read, _) = future::join(reading, server.stop(wire::StopRequest {})).await;
    assert!(is_refused(&read.diagnostics, "stopped"), "{read:?}");
    assert_eq!(server.read(read_request()).now_or_never(), None);
}

#[tokio::test]
async fn a_change_that_failed_leaves_what_was_there() {
    let request = wire::ApplyResourceChangeRequest {
        type_name: "test_thing".to_owned(),
        prior_state: Some(thing("before")),
        planned_state: Some(thing("after")),
        planned_private: "mine".into(),
        ..wire::ApplyResourceChangeRequest::default()
    };
    let applied = server().apply(request).await;
    assert!(is_refused(&applied.diagnostics, "no"), "{applied:?}");
    assert_eq!(applied.new_state, Some(thing("before")));
    assert_eq!(applied.private, "mine");
}

#[tokio::test]
async fn what_does_not_exist_is_told_to_the_user() {
    let unknown = "test_other".to_owned();
    let request = wire::ReadResourceRequest { type_name: unknown.clone(), ..read_request() };
    assert!(is_refused(&server().read(request).await.diagnostics, "Unknown resource"));
    let request = wire::ReadDataSourceRequest { type_name: unknown, ..Default::default() };
    assert!(is_refused(&server().read_data(request).await.diagnostics, "Unknown data source"));
    let request = wire::CallFunctionRequest { name: "other".to_owned(), arguments: Vec::new() };
    assert!(server().call(request).await.error.is_some());
}

#[tokio::test]
async fn what_is_no_value_is_told_to_the_user() {
    let garbage = [
        wire::DynamicValue { msgpack: "\u{7f}\u{7f}".into(), ..Default::default() },
        wire::DynamicValue { json: "{".into(), ..Default::default() },
        wire::DynamicValue { json: "[]".into(), ..Default::default() },
        // Unknown as a whole.
        wire::DynamicValue { msgpack: vec![0xd4, 0, 0].into(), ..Default::default() },
    ];
    for value in garbage {
        let request =
            wire::ReadResourceRequest { current_state: Some(value.clone()), ..read_request() };
        let read = server().read(request).await;
        assert!(is_refused(&read.diagnostics, "was sent a value"), "{value:?}: {read:?}");
    }
}

#[tokio::test]
async fn a_value_in_json_is_taken_too() {
    let request = wire::ApplyResourceChangeRequest {
        type_name: "test_thing".to_owned(),
        planned_state: Some(wire::DynamicValue {
            json: r#"{"name": "a", "inner": null}"#.into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let applied = server().apply(request).await;
    assert!(is_refused(&applied.diagnostics, "no"), "{applied:?}");
}

#[tokio::test]
async fn a_plan_that_does_not_fit_the_schema_is_the_providers_fault() {
    let request = wire::PlanResourceChangeRequest {
        type_name: "test_thing".to_owned(),
        proposed_new_state: Some(thing("a")),
        ..wire::PlanResourceChangeRequest::default()
    };
    let planned = server().plan(request).await;
    assert!(is_refused(&planned.diagnostics, "its own schema"), "{planned:?}");
}

#[tokio::test]
async fn a_state_from_before_the_provider_was_is_refused() {
    let state = |raw_state| wire::UpgradeResourceStateRequest {
        type_name: "test_thing".to_owned(),
        version: 0,
        raw_state: Some(raw_state),
    };
    let flatmap = [("name".to_owned(), "a".to_owned())].into();
    let old = state(wire::RawState { flatmap, ..Default::default() });
    assert!(is_refused(&server().upgrade_state(old).await.diagnostics, "too old"));
    let garbage = state(wire::RawState { json: "{".into(), ..Default::default() });
    assert!(is_refused(&server().upgrade_state(garbage).await.diagnostics, "was sent a value"));
}

#[tokio::test]
async fn arguments_are_held_against_the_signature() {
    let number = |number: i64| dynamic(&number.into(), &Type::Number);
    // How Go's hosts send a null.
    let null = wire::DynamicValue::default();
    let unknown = dynamic(&Value::unknown(), &Type::Number);
    let call = async |arguments: &[wire::DynamicValue]| {
        let arguments = arguments.to_vec();
        let request = wire::CallFunctionRequest { name: "count".to_owned(), arguments };
        let wire::CallFunctionResponse { result, error } = server().call(request).await;
        result.ok_or_else(|| error.expect("one of the two").function_argument)
    };
    assert_eq!(call(&[number(7)]).await, Ok(number(1)));
    assert_eq!(call(&[null.clone(), number(7), number(7)]).await, Ok(number(3)));
    assert_eq!(call(&[number(7), unknown.clone()]).await, Ok(unknown));
    assert_eq!(call(&[]).await, Err(None));
    assert_eq!(call(&[number(7), null]).await, Err(Some(1)));
    let text = dynamic(&"seven".into(), &Type::String);
    assert_eq!(call(&[number(7), number(7), text]).await, Err(Some(2)));
}

#[tokio::test]
async fn version_5_has_objects_where_version_6_has_attributes_in_attributes() {
    let server = server();
    let ours = &schema().block.attributes["inner"];
    let of_6 = ProviderSchema::try_from(server.schema_6(wire::GetSchemaRequest {}).await);
    assert_eq!(&of_6.expect("a schema").resources["test_thing"].block.attributes["inner"], ours);
    let of_5 = ProviderSchema::try_from(server.schema_5(wire::GetSchemaRequest {}).await);
    let of_5 = of_5.expect("a schema");
    let inner = &of_5.resources["test_thing"].block.attributes["inner"];
    assert_eq!(inner.nested, None);
    assert_eq!(inner.ty.without_optional(), ours.ty);
    let Type::List(object) = &inner.ty else { panic!("{}", inner.ty) };
    let Type::Object(object) = &**object else { panic!("{object}") };
    assert_eq!(object.optional.iter().collect::<Vec<_>>(), ["name"]);
}
