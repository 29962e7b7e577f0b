use scorebook::{prelude::*, random::Generator, score::*, train::*, data::*, diffusion::*};
fn main() -> scorebook::Result<()> {
    let a: Vec<String> = std::env::args().collect();
    let steps: u64 = a[1].parse().unwrap();
    let data = FashionMnist::default().load(Split::Train)?; println!("{data}");
    let p: Process = a[2].parse()?;
    let net = Unet::new(UnetSettings::default(), p, &mut Generator::new(1), &Device::Cpu)?;
    println!("{} parameters", net.parameters().count());
    let mut tr = Training::new(&net, TrainingSettings { learning_rate: a[3].parse().unwrap(), ..Default::default() })?;
    let mut acc = 0.; 
    tr.run(&data, steps, |s| { acc += s.loss; if s.step % 20 == 0 { println!("{} {:.4} |g| {:.3} {:.0}/s", s.step, acc / 20., s.gradient_norm, s.throughput); acc = 0.; } })?;
    Ok(())
}
