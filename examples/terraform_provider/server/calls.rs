//! Calling functions: the arguments are held against the signature, and what goes wrong is
//! told of the argument that is at fault.

use crate::server::Fault;
use crate::server::Problems;
use crate::server::Server;
use crate::server::wire::decode;
use crate::server::wire::encode;
use crate::tfplugin::cty::Value;
use crate::tfplugin::schema::Parameter;
use crate::tfplugin::wire::tfplugin::CallFunctionRequest;
use crate::tfplugin::wire::tfplugin::CallFunctionResponse;
use crate::tfplugin::wire::tfplugin::DynamicValue;
use crate::tfplugin::wire::tfplugin::FunctionError;

impl Server {
    pub(super) async fn call(&self, request: CallFunctionRequest) -> CallFunctionResponse {
        match self.try_call(&request) {
            Ok(result) => CallFunctionResponse { result: Some(result), error: None },
            Err(Fault { text, argument }) => {
                // More arguments than that fit in no message.
                let function_argument = argument.and_then(|argument| argument.try_into().ok());
                let error = Some(FunctionError { text, function_argument });
                CallFunctionResponse { result: None, error }
            }
        }
    }

    fn try_call(&self, request: &CallFunctionRequest) -> Result<DynamicValue, Fault> {
        let function = self.0.provider.functions.get(&*request.name).ok_or_else(|| Fault {
            text: format!("the provider has no function {:?}", request.name),
            argument: None,
        })?;
        let signature = &function.signature;
        let (given, wanted) = (request.arguments.len(), signature.parameters.len());
        if given < wanted || (given > wanted && signature.variadic.is_none()) {
            let text = format!("{given} arguments were given, and {wanted} are wanted");
            return Err(Fault { text, argument: None });
        }
        let parameters = signature.parameters.iter().chain(signature.variadic.iter().cycle());
        let mut arguments = Vec::with_capacity(given);
        let mut is_open = false;
        for (at, (value, parameter)) in request.arguments.iter().zip(parameters).enumerate() {
            let value = argument(at, value, parameter)?;
            is_open |= !parameter.allows_unknown && !value.is_wholly_known();
            arguments.push(value);
        }
        let result = if is_open { Value::unknown() } else { (function.call)(&arguments)? };
        encode(&result, &signature.returns).map_err(|problems| fault(&problems, None))
    }
}

fn argument(at: usize, value: &DynamicValue, parameter: &Parameter) -> Result<Value, Fault> {
    let value =
        decode(Some(value), &parameter.ty).map_err(|problems| fault(&problems, Some(at)))?;
    if value.is_null() && !parameter.allows_null {
        let text = format!("{:?} must not be null", parameter.name);
        return Err(Fault { text, argument: Some(at) });
    }
    Ok(value)
}

/// A function's answer has room for a text only.
fn fault(problems: &Problems, argument: Option<usize>) -> Fault {
    let texts = problems.0.iter().map(|problem| format!("{}: {}", problem.summary, problem.detail));
    Fault { text: texts.collect::<Vec<_>>().join("\n"), argument }
}
