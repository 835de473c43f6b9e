//! `ContractService`: what contracts say, and what is wrong with one.

use ensemble_contract::{Contract, Keep};
use ensemble_protocol::{
    Refusal,
    v1::{self, check_contract_response::Outcome, contract_service_server::ContractService},
};
use tonic::{Request, Response, Status, async_trait};

use super::{Desk, page};
use crate::{KnownContract, find_contract, known_contracts};

#[async_trait]
impl ContractService for Desk {
    async fn check(
        &self,
        request: Request<v1::CheckContractRequest>,
    ) -> Result<Response<v1::CheckContractResponse>, Status> {
        let text = &request.get_ref().contract_toml;
        let outcome = match Contract::parse(text, "contract_toml") {
            Ok(contract) => {
                let built_in = ensemble_contract::builtin(&contract.name).is_some_and(|built_in| built_in == text);
                Outcome::Contract(described(&KnownContract { contract, built_in }))
            }
            Err(e) => {
                let place = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
                let (line, column, message) = (place(e.line), place(e.column), e.problem.to_string());
                Outcome::Problem(v1::ContractProblem { line, column, message })
            }
        };
        Ok(Response::new(v1::CheckContractResponse { outcome: Some(outcome) }))
    }

    async fn list(
        &self,
        request: Request<v1::ListContractsRequest>,
    ) -> Result<Response<v1::ListContractsResponse>, Status> {
        let request = request.into_inner();
        let [from] = page::read(&request.page_token)?.unwrap_or([0]);
        let (from, size) = (usize::try_from(from).unwrap_or(usize::MAX), page::size(request.page_size));
        let known = self.known_contracts().await?;
        let rest = known.get(from..).unwrap_or_default();
        let contracts: Vec<_> = rest.iter().take(size).map(described).collect();
        let next_page_token = if rest.len() > size { page::token([(from + size) as u64]) } else { String::new() };
        Ok(Response::new(v1::ListContractsResponse { contracts, next_page_token }))
    }

    async fn get(&self, request: Request<v1::GetContractRequest>) -> Result<Response<v1::Contract>, Status> {
        let asked = &request.get_ref().name_or_hash;
        let known = self.known_contracts().await?;
        let found = find_contract(&known, asked);
        let missing = || Refusal::NotFound.status(format!("no contract {asked:?} is built in or has a job"));
        let found = found.ok_or_else(missing)?;
        Ok(Response::new(v1::Contract { text: found.contract.text.clone(), ..described(found) }))
    }
}

impl Desk {
    async fn known_contracts(&self) -> Result<Vec<KnownContract>, Status> {
        known_contracts(&self.jobs().await?).map_err(|e| Refusal::Internal.status(e))
    }
}

/// A contract without its text.
fn described(known: &KnownContract) -> v1::Contract {
    let contract = &known.contract;
    let columns = contract.columns.iter().map(|column| v1::ContractColumn {
        name: column.name.clone(),
        r#type: column.ty.to_string(),
        required: column.required,
    });
    v1::Contract {
        name: contract.name.clone(),
        hash: contract.hash.clone(),
        built_in: known.built_in,
        silver: contract.silver.clone(),
        key: contract.key_name().to_owned(),
        keep: keep(contract.keep).into(),
        columns: columns.collect(),
        views: contract.views.iter().map(|view| view.name.clone()).collect(),
        text: String::new(),
    }
}

/// Which row of a key is live.
pub(super) fn keep(keep: Keep) -> v1::Keep {
    match keep {
        Keep::First => v1::Keep::First,
        Keep::Last => v1::Keep::Last,
    }
}
