//! `ensemble contract`, and the service behind which clients find the same.

use ensemble_protocol::v1::{self, check_contract_response::Outcome, contract_service_client::ContractServiceClient};
use tokio::task::block_in_place;

use crate::{
    processes::Supervisor,
    support::{Place, THINGS},
};

const BAD: &str = "name = \"things\"\nkey = \"id\"\n\n[columns]\nid = { type = \"strng\", required = true }\n";

#[test]
fn a_contract_is_checked_listed_and_printed() {
    let place = Place::with_things();
    place.write("bad.toml", BAD);
    place.run("contract check bad.toml").says(2, "bad.toml:5:");
    place.run("contract check bad.toml").says(2, "did you mean \"string\"");
    place.run("contract check missing.toml").says(2, "cannot read missing.toml");
    place.run("contract check things.toml").says(0, "things fills things, by id, first row of a key");
    let things = place.json("contract check things.toml");
    assert_eq!((&things["columns"][2]["type"], &things["views"][0]), (&"int".into(), &"by_score".into()));

    let built_in = place.json("contract list");
    assert_eq!((built_in.as_array().unwrap().len(), &built_in[0]["contract"]), (1, &"tracks".into()));
    let text = place.run("contract get tracks");
    text.says(0, "name = \"tracks\"");
    place.run("contract get trakcs").says(2, "did you mean \"tracks\"?");
    place.run("contract get things").says(2, "Built in: tracks");

    // What a job was submitted under is known to its store.
    place.write("in.csv", "id,name,score\n1,a,5\n");
    place.json("run in.csv --contract things.toml --store s");
    let known = place.json("contract list --store s");
    assert_eq!((known.as_array().unwrap().len(), &known[1]["contract"]), (2, &"things".into()));
    assert_eq!((&known[1]["hash"], &known[1]["built_in"]), (&things["hash"], &false.into()));
    assert_eq!(place.run("contract get things --store s").out, THINGS);
    let hash = things["hash"].as_str().unwrap();
    assert_eq!(place.run(&format!("contract get {hash} --store s")).out, THINGS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_check_list_and_get_contracts() {
    let place = Place::with_things();
    place.write("in.csv", "id,name,score\n1,a,5\n");
    let supervisor = block_in_place(|| {
        let supervisor = Supervisor::start(&place, "--store served");
        place.json(&format!("submit csv in.csv --contract things.toml --wait {}", supervisor.option()));
        supervisor
    });
    let mut contracts = ContractServiceClient::connect(format!("http://{}", supervisor.addresses[0])).await.unwrap();
    let mut check = async |text: &str| {
        let request = v1::CheckContractRequest { contract_toml: text.to_owned() };
        contracts.check(request).await.unwrap().into_inner().outcome.unwrap()
    };
    let Outcome::Contract(things) = check(THINGS).await else { panic!("it is none") };
    assert_eq!((things.key.as_str(), things.keep(), things.columns.len()), ("id", v1::Keep::First, 3));
    let Outcome::Problem(problem) = check(BAD).await else { panic!("it is one") };
    assert_eq!(problem.line, 5);
    assert!(problem.message.contains("did you mean \"string\""), "{}", problem.message);

    let mut names = Vec::new();
    let mut page = v1::ListContractsRequest { page_size: 1, page_token: String::new() };
    loop {
        let listed = contracts.list(page.clone()).await.unwrap().into_inner();
        names.extend(listed.contracts.into_iter().map(|c| (c.name, c.built_in)));
        if listed.next_page_token.is_empty() {
            break;
        }
        page.page_token = listed.next_page_token;
    }
    assert_eq!(names, [("tracks".to_owned(), true), ("things".to_owned(), false)]);
    let mut get = async |name: &str| contracts.get(v1::GetContractRequest { name_or_hash: name.to_owned() }).await;
    assert_eq!(get("things").await.unwrap().into_inner().text, THINGS);
    assert_eq!(get(&things.hash).await.unwrap().into_inner().text, THINGS);
    assert_eq!(get("nothing").await.unwrap_err().code(), tonic::Code::NotFound);
}
